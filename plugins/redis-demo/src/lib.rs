// SPDX-License-Identifier: Apache-2.0
//! Limits requests per minute; all gateways that share a Redis count together. If Redis is down, slow or
//! talks nonsense, requests pass, and the log says why.

use std::num::NonZeroU32;
use std::time::Duration;

use shared::prelude::*;

plugin!(RedisDemo);

/// The length of a window, in seconds.
const WINDOW: u64 = 60;
/// Counts a request and lets the count end with its window, in one step: no key can stay without expiry.
const COUNT: &str = "local n = redis.call('INCR', KEYS[1])
if n == 1 then redis.call('EXPIRE', KEYS[1], ARGV[1]) end
return n";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    service_name: String,
    service_port: Option<u16>,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    database: u32,
    /// In milliseconds.
    timeout: Option<NonZeroU32>,
    qpm: NonZeroU32,
    #[serde(default)]
    key_prefix: String,
}

struct RedisDemo {
    redis: RedisClient,
    qpm: u64,
    key_prefix: String,
}

impl Plugin for RedisDemo {
    type Config = Config;
    const RULES_INHERIT: bool = true;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let cluster = Cluster::of_service(&config.service_name, config.service_port, Some(6379))?;
        let Config { username, password, database, .. } = config;
        let mut options = RedisOptions { username, password, database, ..RedisOptions::default() };
        if let Some(milliseconds) = config.timeout {
            options.timeout = Duration::from_millis(milliseconds.get().into());
        }
        let redis = RedisClient::new(cluster, options);
        Ok(RedisDemo { redis, qpm: config.qpm.get().into(), key_prefix: config.key_prefix })
    }

    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let now = now().as_secs();
        let window = (now - now % WINDOW).to_string();
        let key = [self.key_prefix.as_str(), &window].concat();
        let count: u64 = self.redis.eval(COUNT, &[key], &[WINDOW]).await?;
        let Some(left) = self.qpm.checked_sub(count) else {
            let reply = Response::new(429).header("timeStamp", window).header("callTimeLeft", "0");
            return Ok(reply.body("Too many requests\n"));
        };
        let mut response = request.send().await;
        response.add_header("timeStamp", window);
        response.add_header("callTimeLeft", left.to_string());
        Ok(response.pass())
    }

    fn on_error(&self, _: &Error) -> OnError {
        OnError::Pass
    }
}
