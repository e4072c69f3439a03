// SPDX-License-Identifier: Apache-2.0
//! Calls to other services that a request waits for: how a reply finds the future that asked.
//!
//! The gateway names a call by a token. A call belongs to the request that made it: its reply is kept with
//! that request until the future takes it, and a reply that nobody waits for any more is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::turn::Turn;
use crate::{Headers, HttpError, host};

/// A reply as the gateway hands it over.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Headers,
}

/// What there is to read in the callback that brings a reply: numbers of pairs, and of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) headers: usize,
    pub(crate) body: usize,
    pub(crate) trailers: usize,
}

/// Reads a reply, which is possible in its callback only; `None` if the service gave no answer.
pub(crate) type Receive = fn(Sizes) -> Option<Received>;

/// Why there is no reply.
pub(crate) enum Missing {
    NoAnswer,
    TooLarge,
}

/// A call that a request waits for.
pub(crate) struct PendingCall {
    token: u32,
    /// The longest body, in bytes, that is read: what is larger could take the memory of all requests.
    max_body: usize,
    state: State,
}

impl PendingCall {
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }
}

enum State {
    Waiting(Receive),
    Answered(Option<Result<Received, Missing>>),
}

/// Keeps the reply to a call with the request; false if the request does not wait for it.
pub(crate) fn receive(calls: &mut [PendingCall], token: u32, sizes: Sizes) -> bool {
    let Some(call) = calls.iter_mut().find(|call| call.token == token) else { return false };
    if let State::Waiting(receive) = call.state {
        let is_too_large = sizes.body > call.max_body;
        let reply = if is_too_large { Err(Missing::TooLarge) } else { receive(sizes).ok_or(Missing::NoAnswer) };
        call.state = State::Answered(Some(reply));
    }
    true
}

/// Sends an HTTP call and gives its token.
pub(crate) fn send_http(
    cluster: &str,
    headers: &[(&str, &[u8])],
    body: Option<&[u8]>,
    timeout: Duration,
) -> Result<u32, HttpError> {
    // Outside of a request there is nobody to bring the reply to.
    let ids = Turn::with(|turn| (turn.root_id, turn.stream_id)).ok_or(HttpError::NotSent)?;
    // Sent in the name of the root: a call of a request that ends is cancelled without a callback, and the
    // crate, which still waits for one, would keep an entry for it for ever.
    host::on_behalf_of(ids.0, ids.1, || host::http_call(cluster, headers, body, timeout))
}

/// The reply to a call that was sent. Dropping it gives the reply up.
pub(crate) struct Call {
    token: u32,
}

impl Call {
    /// Waits for the reply to the call that the gateway gave `token`, which `receive` will read unless its
    /// body is larger than `max_body`.
    pub(crate) fn new(token: u32, receive: Receive, max_body: usize) -> Self {
        Turn::with(|turn| turn.calls.push(PendingCall { token, max_body, state: State::Waiting(receive) }));
        Call { token }
    }
}

impl Future for Call {
    type Output = Result<Received, Missing>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = Turn::with(|turn| {
            let call = turn.calls.iter_mut().find(|call| call.token == self.token)?;
            match &mut call.state {
                State::Waiting(_) => None,
                State::Answered(reply) => reply.take(),
            }
        });
        reply.flatten().map_or(Poll::Pending, Poll::Ready)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        // Nothing is lent when the request itself is dropped, and its calls with it.
        Turn::with(|turn| turn.calls.retain(|call| call.token != self.token));
    }
}
