// SPDX-License-Identifier: Apache-2.0
//! Redis by the host functions of Higress: the gateway keeps the connection, one per worker and cluster.
#![expect(unsafe_code, reason = "the gateway's functions take raw pointers")]

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use super::RedisClient;
use crate::callout::{Call, Received, Sizes};
use crate::host;
use crate::reply::RedisError;
use crate::resp::{self, Reply};
use crate::turn::Turn;

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_redis_init(
        service: *const u8,
        service_size: usize,
        username: *const u8,
        username_size: usize,
        password: *const u8,
        password_size: usize,
        timeout_milliseconds: u32,
    ) -> u32;
    fn proxy_redis_call(
        service: *const u8,
        service_size: usize,
        query: *const u8,
        query_size: usize,
        token: *mut u32,
    ) -> u32;
}

unsafe extern "C" {
    /// A callback of the crate's: activates a stream, if it is still there, and hands the numbers to it.
    safe fn proxy_on_foreign_function(stream_id: u32, function_id: u32, size: usize);
}

/// The buffer that holds a reply during its callback; the crate does not have it.
const REDIS_REPLY: u32 = 9;

thread_local! {
    /// The streams that wait for replies, by token, oldest first: the order in which replies come.
    static WAITING: RefCell<VecDeque<(u32, u32)>> = const { RefCell::new(VecDeque::new()) };
    /// How the connections of this worker were last set up. An unchanged set-up is not repeated: it would
    /// break off the calls that are under way.
    static SET_UP: RefCell<Vec<SetUp>> = const { RefCell::new(Vec::new()) };
}

#[derive(Clone, PartialEq)]
struct SetUp {
    cluster: String,
    service: String,
    username: String,
    password: String,
    timeout: u32,
}

/// Whether the connection was set up.
#[derive(Debug, Default)]
pub(super) struct State {
    is_set_up: Cell<bool>,
}

/// Sets the connection up, if the gateway knows the cluster already.
pub(super) fn start(client: &RedisClient) {
    if let Err(error) = set_up(client, false) {
        log::warn!("{error}; it is tried again when a request needs it");
    }
}

/// Sends a command and waits for its reply.
pub(super) async fn exchange(client: &RedisClient, query: &[u8]) -> Result<Reply, RedisError> {
    if !client.gateway.is_set_up.get() {
        set_up(client, false)?;
    }
    let reply = call(client, query).await?;
    match reply {
        // The gateway ignores what AUTH answered; its connection may date from before the password.
        Reply::Error(reason) if reason.starts_with("NOAUTH") => {
            set_up(client, true)?;
            call(client, query).await
        }
        reply => Ok(reply),
    }
}

async fn call(client: &RedisClient, query: &[u8]) -> Result<Reply, RedisError> {
    let stream_id = Turn::with(|turn| turn.stream_id).ok_or(RedisError::NotSent)?;
    let service = client.cluster.name();
    let mut token = 0;
    // SAFETY: the gateway only reads service and query, and writes one u32.
    let status = unsafe { proxy_redis_call(service.as_ptr(), service.len(), query.as_ptr(), query.len(), &mut token) };
    check(status).inspect_err(|_| forget_set_up(client))?;
    WAITING.with_borrow_mut(|waiting| waiting.push_back((token, stream_id)));
    let reply = Call::new(token, receive, resp::MAX_LENGTH).await?;
    let reply = resp::decode(&reply.body, 1).map_err(RedisError::Protocol)?.pop();
    Ok(reply.unwrap_or(Reply::Null))
}

fn receive(sizes: Sizes) -> Option<Received> {
    (sizes.body > 0).then(|| Received { body: host::read_buffer(REDIS_REPLY), ..Received::default() })
}

/// Sets the connection up, unless that has been done; with `again` even then.
fn set_up(client: &RedisClient, again: bool) -> Result<(), RedisError> {
    let wanted = SetUp::of(client);
    let is_done = SET_UP.with_borrow(|done| done.contains(&wanted));
    if again || !is_done {
        forget_set_up(client);
        let SetUp { service, username, password, timeout, .. } = &wanted;
        // SAFETY: the gateway only reads the three texts.
        check(unsafe {
            proxy_redis_init(
                service.as_ptr(),
                service.len(),
                username.as_ptr(),
                username.len(),
                password.as_ptr(),
                password.len(),
                *timeout,
            )
        })?;
        SET_UP.with_borrow_mut(|done| done.push(wanted));
    }
    client.gateway.is_set_up.set(true);
    Ok(())
}

/// The connection may be another one than that which was set up: the next command sets it up again.
fn forget_set_up(client: &RedisClient) {
    client.gateway.is_set_up.set(false);
    SET_UP.with_borrow_mut(|done| done.retain(|other| other.cluster != client.cluster.name()));
}

impl SetUp {
    fn of(client: &RedisClient) -> Self {
        let options = &client.options;
        let cluster = client.cluster.name().to_string();
        let database = if options.database == 0 { String::new() } else { format!("db={}&", options.database) };
        SetUp {
            service: format!(
                "{cluster}?{database}buffer_flush_timeout={}&max_buffer_size_before_flush={}",
                host::milliseconds(options.buffer_flush_timeout),
                options.max_buffer_size,
            ),
            cluster,
            username: options.username.clone(),
            password: options.password.clone(),
            timeout: host::milliseconds(options.timeout),
        }
    }
}

fn check(status: u32) -> Result<(), RedisError> {
    const BAD_ARGUMENT: u32 = 2;
    match status {
        0 => Ok(()),
        BAD_ARGUMENT => Err(RedisError::NoSuchCluster),
        _ => Err(RedisError::NotSent),
    }
}

/// The gateway's callback with a reply. It comes for the root context, so the stream is looked up here. A
/// status other than 0 says that there is no reply.
#[unsafe(no_mangle)]
extern "C" fn proxy_on_redis_call_response(_root_id: u32, token: u32, status: u32, size: usize) {
    let stream_id = WAITING.with_borrow_mut(|waiting| {
        let index = waiting.iter().position(|&(waiting_for, _)| waiting_for == token)?;
        waiting.remove(index)
    });
    if let Some((_, stream_id)) = stream_id {
        proxy_on_foreign_function(stream_id, token, if status == 0 { size } else { 0 });
    }
}
