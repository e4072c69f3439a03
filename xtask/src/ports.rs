// SPDX-License-Identifier: Apache-2.0
//! The ports of the local gateway.

use std::io;
use std::net::TcpListener;

use anyhow::{Result, bail, ensure};

use crate::readme;

/// Where everything listens.
pub(crate) struct Ports {
    pub(crate) gateway: u16,
    pub(crate) httpbin: u16,
    pub(crate) admin: u16,
    pub(crate) redis: u16,
}

impl Default for Ports {
    /// The ports of the Higress documentation.
    fn default() -> Self {
        Self { gateway: readme::PORT, httpbin: 12345, admin: 9901, redis: 6379 }
    }
}

impl Ports {
    /// Fails with a line for each port that is taken.
    pub(crate) fn check(&self) -> Result<()> {
        let ports = [
            (self.gateway, "the gateway", "PORT"),
            (self.httpbin, "httpbin", "HTTPBIN_PORT"),
            (self.admin, "Envoy's own pages", "ADMIN_PORT"),
            (self.redis, "Valkey", "REDIS_PORT"),
        ];
        let mut free = Vec::new(); // kept, so that a port given twice is taken the second time
        let mut taken = Vec::new();
        for (port, whose, variable) in ports {
            match TcpListener::bind(("127.0.0.1", port)) {
                Ok(listener) => free.push(listener),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                    taken.push(format!("port {port}, for {whose}, is in use; choose another with {variable}=..."))
                }
                Err(error) => bail!("port {port}, for {whose}: {error}; choose another with {variable}=..."),
            }
        }
        ensure!(taken.is_empty(), "{}", taken.join("\n"));
        Ok(())
    }
}
