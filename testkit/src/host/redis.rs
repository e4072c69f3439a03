// SPDX-License-Identifier: Apache-2.0
//! The gateway's Redis client: one per cluster, with the options of the last `proxy_redis_init`.
//! (Higress: Envoy's `source/common/redis/async_client_impl.cc`.)

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::resp;
use super::state::Cluster;

/// A `proxy_redis_init` of the plugin's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisInit {
    /// The cluster with its options, as the plugin wrote them.
    pub service: String,
    /// The user.
    pub username: String,
    /// The password.
    pub password: String,
    /// In milliseconds.
    pub timeout: u32,
    /// Whether the gateway knew the cluster.
    pub accepted: bool,
}

impl RedisInit {
    fn database(&self) -> Option<&str> {
        let (_, options) = self.service.split_once('?')?;
        options.split('&').find_map(|option| option.strip_prefix("db="))
    }
}

impl Cluster {
    /// Sends a query to the real server, and gives its reply.
    pub(super) fn exchange(&mut self, query: &[u8]) -> Result<Vec<u8>> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => self.connect()?,
        };
        let reply = ask(&mut connection, query)?;
        self.connection = Some(connection);
        Ok(reply)
    }

    fn connect(&self) -> Result<TcpStream> {
        let address = self.redis.as_ref().context("no server")?;
        let mut connection = TcpStream::connect((address.host.as_str(), address.port))?;
        let timeout = self.init.as_ref().map_or(1000, |init| init.timeout);
        connection.set_read_timeout(Some(Duration::from_millis(timeout.max(1).into())))?;
        let Some(init) = &self.init else { return Ok(connection) };
        // What these answer is ignored: a wrong password shows in the next command.
        if !init.password.is_empty() {
            let auth = ["AUTH", &init.username, &init.password];
            let auth: Vec<_> = auth.into_iter().filter(|part| !part.is_empty()).collect();
            ask(&mut connection, &resp::encode(&auth))?;
        }
        if let Some(database) = init.database() {
            ask(&mut connection, &resp::encode(&["SELECT", database]))?;
        }
        Ok(connection)
    }
}

fn ask(connection: &mut TcpStream, query: &[u8]) -> Result<Vec<u8>> {
    connection.write_all(query)?;
    let mut reply = Vec::new();
    while resp::reply_length(&reply) != Some(reply.len()) {
        let mut part = [0; 4096];
        let size = connection.read(&mut part)?;
        ensure!(size > 0, "the connection ended");
        reply.extend(part.iter().take(size));
    }
    Ok(reply)
}
