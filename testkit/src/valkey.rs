// SPDX-License-Identifier: Apache-2.0
//! Valkey: the Redis server that a plugin talks to, and all that can befall one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use anyhow::Result;
use rustix::process::Signal;

use crate::Address;
use crate::process::Process;
use crate::tools::tools;

/// A Valkey server that keeps nothing on disk.
#[derive(Debug)]
pub struct Valkey {
    args: Vec<String>,
    port: u16,
    process: Option<Process>,
}

impl Valkey {
    /// Starts one on a free port, with further arguments such as `["--requirepass", "secret"]`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(args: &[&str]) -> Result<Self> {
        let args: Vec<String> = args.iter().map(|&arg| arg.to_owned()).collect();
        loop {
            let port = free_port()?;
            match launch(port, &args) {
                Ok(process) => return Ok(Self { args, port, process: Some(process) }),
                Err(error) if error.to_string().contains("Address already in use") => {} // somebody was faster
                Err(error) => return Err(error),
            }
        }
    }

    /// Where it is, or was before [`Valkey::stop`].
    #[must_use]
    pub fn address(&self) -> Address {
        Address::local(self.port)
    }

    /// Lets it take connections and answer nothing.
    ///
    /// # Errors
    /// It does not run.
    pub fn pause(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Ends [`Valkey::pause`].
    ///
    /// # Errors
    /// It does not run.
    pub fn resume(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Kills it: what it knew is gone, and connections are refused.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Starts it on the same port, empty.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn restart(&mut self) -> Result<()> {
        self.stop();
        self.process = Some(launch(self.port, &self.args)?);
        Ok(())
    }

    /// Runs commands, one a line, on a connection of their own, and gives the replies as Redis sends them.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn ask(&self, commands: &str) -> Result<String> {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port))?;
        connection.write_all(format!("{commands}\r\nQUIT\r\n").as_bytes())?;
        let mut replies = String::new();
        connection.read_to_string(&mut replies)?;
        Ok(replies.strip_suffix("+OK\r\n").unwrap_or(&replies).to_owned())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        self.process.as_ref().map_or_else(|| anyhow::bail!("Valkey does not run"), |process| process.signal(signal))
    }
}

/// Valkey's arguments for a server without files.
#[must_use]
pub fn args(port: u16) -> Vec<String> {
    let port = port.to_string();
    ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"].map(str::to_owned).into()
}

fn launch(port: u16, more: &[String]) -> Result<Process> {
    let mut command = Command::new(&tools()?.valkey);
    command.args(args(port)).args(more);
    let mut process = Process::spawn("valkey", command)?;
    process.wait_for("it was ready", |log| log.contains("Ready to accept connections").then_some(()))?;
    Ok(process)
}

/// Valkey takes no 0 for any free port, so it gets one that was free a moment ago.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
