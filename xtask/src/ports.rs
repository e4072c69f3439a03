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
    /// Each port, whose it is, and the variable that sets it.
    fn all(&self) -> [(u16, &'static str, &'static str); 4] {
        [
            (self.gateway, "the gateway", "PORT"),
            (self.httpbin, "httpbin", "HTTPBIN_PORT"),
            (self.admin, "Envoy's own pages", "ADMIN_PORT"),
            (self.redis, "Valkey", "REDIS_PORT"),
        ]
    }

    /// What to put in front of a command that knows the default ports: the variables of the others.
    pub(crate) fn variables(&self) -> String {
        let changed = self.all().into_iter().zip(Self::default().all()).filter(|(port, default)| port != default);
        changed.map(|((port, _, variable), _)| format!("{variable}={port} ")).collect()
    }

    /// Fails with a line for each port that is taken.
    pub(crate) fn check(&self) -> Result<()> {
        let mut free = Vec::new(); // kept, so that a port given twice is taken the second time
        let mut taken = Vec::new();
        for (port, whose, variable) in self.all() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_ports_that_are_not_the_default_are_named() {
        assert_eq!(Ports::default().variables(), "");
        let ports = Ports { gateway: 8080, redis: 7000, ..Ports::default() };
        assert_eq!(ports.variables(), "PORT=8080 REDIS_PORT=7000 ");
    }
}
