// SPDX-License-Identifier: Apache-2.0
//! Redis in the middle of a request.

#[cfg(not(feature = "stock-envoy"))]
mod higress;
#[cfg(feature = "stock-envoy")]
mod stock_envoy;

mod commands;

use std::time::Duration;

#[cfg(not(feature = "stock-envoy"))]
use higress as gateway;
#[cfg(feature = "stock-envoy")]
use stock_envoy as gateway;

use crate::callout::Missing;
use crate::cluster::Cluster;
use crate::reply::{FromReply, RedisError, ToArg};
use crate::resp::{self, Reply};

/// How to reach a Redis.
///
/// In Higress one connection per worker and cluster serves all plugins, and it has the options that were
/// set last: give one Redis the same options everywhere. (No `Debug`: it would show the password.)
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// The user; empty (the default) for Redis's default user.
    pub username: String,
    /// The password; empty (the default) for none.
    pub password: String,
    /// The number of the database; 0 by default.
    pub database: u32,
    /// How long a command may take, rounded up to milliseconds; 1000 by default, 0 for ever.
    pub timeout: Duration,
    /// How long Higress collects commands before it sends them, in whole milliseconds; 3 by default.
    pub buffer_flush_timeout: Duration,
    /// How many bytes of commands Higress collects before it sends them; 1024 by default.
    pub max_buffer_size: u32,
}

impl Default for RedisOptions {
    fn default() -> Self {
        RedisOptions {
            username: String::new(),
            password: String::new(),
            database: 0,
            timeout: Duration::from_secs(1),
            buffer_flush_timeout: Duration::from_millis(3),
            max_buffer_size: 1024,
        }
    }
}

/// Talks to one Redis: `redis.get("key").await`.
///
/// It connects by itself: a gateway that does not know the cluster yet is asked again before each command.
pub struct RedisClient {
    cluster: Cluster,
    options: RedisOptions,
    #[cfg_attr(feature = "stock-envoy", expect(dead_code, reason = "nothing is kept between calls there"))]
    gateway: gateway::State,
}

impl RedisClient {
    /// A client for the Redis of a cluster. That it cannot be reached shows in the first command.
    pub fn new(cluster: Cluster, options: RedisOptions) -> Self {
        let client = RedisClient { cluster, options, gateway: gateway::State::default() };
        gateway::start(&client);
        client
    }

    /// Runs any command: its name and its arguments. What it returns is what the caller asks for:
    /// `let length: u64 = redis.command(&[&"STRLEN", &key]).await?`. Not for what changes the connection
    /// (`AUTH`, `SELECT`, `MULTI`, `SUBSCRIBE`, ...): in Higress all plugins share it.
    ///
    /// # Errors
    /// Redis was not reached, refused the command, or its reply is not what was asked for.
    pub async fn command<T: FromReply>(&self, args: &[&dyn ToArg]) -> Result<T, RedisError> {
        if args.is_empty() {
            return Err(RedisError::NotSent); // Redis answers nothing to nothing, and the next reply would be ours
        }
        let args: Vec<_> = args.iter().map(|arg| arg.to_arg()).collect();
        let reply = gateway::exchange(self, &resp::encode(&args)).await?;
        Ok(T::from_reply(refuse_error(reply)?)?)
    }
}

fn refuse_error(reply: Reply) -> Result<Reply, RedisError> {
    match reply {
        Reply::Error(reason) => Err(RedisError::Server(reason)),
        reply => Ok(reply),
    }
}

impl From<Missing> for RedisError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::NoAnswer => RedisError::NoAnswer,
            Missing::TooLarge => RedisError::Protocol(resp::TOO_LONG),
        }
    }
}
