// SPDX-License-Identifier: Apache-2.0
//! httpbin: the upstream that answers with what it was sent.

use std::ffi::OsString;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::Address;
use crate::process::Process;
use crate::tools::tools;

/// A running httpbin.
#[derive(Debug)]
pub struct Httpbin {
    process: Process,
    port: u16,
}

impl Httpbin {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start() -> Result<Self> {
        let mut command = Command::new(&tools()?.gunicorn);
        command.args(args(&Address::local(0)));
        let mut process = Process::spawn("httpbin", command)?;
        let port = process.wait_for("it listened", |log| {
            let (_, rest) = log.split_once("Listening at: http://127.0.0.1:")?;
            rest.split_once(' ')?.0.parse().ok()
        })?;
        Ok(Self { process, port })
    }

    /// The address of the one that all tests of a process share, started by the first.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn shared() -> Result<Address> {
        static SHARED: Mutex<Option<Httpbin>> = Mutex::new(None);
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.is_none() {
            *shared = Some(Self::start()?);
        }
        Ok(shared.as_ref().context("no httpbin")?.address())
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> Address {
        Address::local(self.port)
    }

    /// What it has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        self.process.log()
    }
}

/// gunicorn's arguments for an httpbin that takes large requests.
#[must_use]
pub fn args(listen: &Address) -> Vec<OsString> {
    let bind = format!("--bind={}:{}", listen.host, listen.port);
    let rest = [
        "--threads=16",
        "--no-control-socket",
        "--limit-request-fields=1000",
        "--limit-request-field_size=262144",
        "httpbin:app",
    ];
    [bind.as_str()].into_iter().chain(rest).map(OsString::from).collect()
}
