// SPDX-License-Identifier: Apache-2.0
//! Redis in an Envoy that has no functions for it: a call to a cluster that speaks raw TCP. The body is the
//! commands, the reply's body is their replies. Each call has a connection of its own, which the cluster must
//! say (`max_requests_per_connection: 1`): a call made when a reply has come gets the connection of that
//! reply otherwise, and no answer.
//!
//! The gateway closes its side behind the commands, and Redis sends no more after the 64 KiB that it writes
//! in one go (`NET_MAX_WRITES_PER_EVENT`): a longer reply may end too early, which is an error.

use super::{RedisClient, refuse_error};
use crate::HttpError;
use crate::callout::{Call, send_http};
use crate::http_call;
use crate::reply::RedisError;
use crate::resp::{self, Reply};

/// There is nothing to keep between calls.
#[derive(Debug, Default)]
pub(super) struct State {}

/// There is no connection to set up.
pub(super) fn start(_: &RedisClient) {}

/// Sends a command, with what signs in and selects the database in front of it, and waits for its reply.
pub(super) async fn exchange(client: &RedisClient, query: &[u8]) -> Result<Reply, RedisError> {
    let (mut queries, mut count) = (Vec::new(), 1);
    let mut before = |command: &[&[u8]]| {
        queries.extend(resp::encode(command));
        count += 1;
    };
    let options = &client.options;
    match (options.username.as_bytes(), options.password.as_bytes()) {
        (b"", b"") => {}
        (b"", password) => before(&[b"AUTH", password]),
        (username, password) => before(&[b"AUTH", username, password]),
    }
    if options.database != 0 {
        before(&[b"SELECT", options.database.to_string().as_bytes()]);
    }
    queries.extend_from_slice(query);

    // What an HTTP call must have; nothing of it is sent.
    let headers = [(":method", "POST"), (":path", "/"), (":authority", client.cluster.host())];
    let headers = headers.map(|(name, value)| (name, value.as_bytes()));
    let token = send_http(client.cluster.name(), &headers, Some(&queries), options.timeout)?;
    let reply = Call::new(token, http_call::receive, resp::MAX_LENGTH).await?;
    let status = reply.headers.iter().find(|(name, _)| name == ":status").map(|(_, status)| status.as_slice());
    match status {
        // Connected. No bytes at all: the connection broke.
        Some(b"200") if !reply.body.is_empty() => {}
        // The gateway's own words when it cannot connect.
        Some(b"200" | b"503" | b"504") | None => return Err(RedisError::NoAnswer),
        Some(_) => return Err(RedisError::Protocol("the cluster speaks HTTP; for Redis it must speak raw TCP")),
    }
    let replies = resp::decode(&reply.body, count).map_err(RedisError::Protocol)?;
    replies.into_iter().try_fold(Reply::Null, |_, reply| refuse_error(reply))
}

/// Higress's callback, which nobody calls here. Natively a test's gateway is linked with it all the same.
#[cfg(not(target_family = "wasm"))]
#[expect(unsafe_code, reason = "the name is the gateway's")]
#[unsafe(no_mangle)]
extern "C" fn proxy_on_redis_call_response(_root_id: u32, _token: u32, _status: u32, _size: usize) {}

impl From<HttpError> for RedisError {
    fn from(error: HttpError) -> Self {
        match error {
            HttpError::NoSuchCluster => RedisError::NoSuchCluster,
            HttpError::NotSent => RedisError::NotSent,
            HttpError::NoAnswer | HttpError::TooLarge => RedisError::NoAnswer,
        }
    }
}
