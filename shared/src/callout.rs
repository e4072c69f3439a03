// SPDX-License-Identifier: Apache-2.0
//! Calls to other services that a request waits for: how a reply finds the future that asked.
//!
//! The gateway names a call by a token. A call belongs to the request that made it: its reply is kept with
//! that request until the future takes it, and a reply that nobody waits for any more is dropped.

use std::pin::Pin;
use std::task::{Context, Poll};

use crate::Headers;
use crate::turn::Turn;

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

/// A call that a request waits for.
pub(crate) struct PendingCall {
    token: u32,
    state: State,
}

impl PendingCall {
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting(_))
    }
}

enum State {
    Waiting(Receive),
    Answered(Option<Received>),
}

/// Keeps the reply to a call with the request; false if the request does not wait for it.
pub(crate) fn receive(calls: &mut [PendingCall], token: u32, sizes: Sizes) -> bool {
    let Some(call) = calls.iter_mut().find(|call| call.token == token) else { return false };
    if let State::Waiting(receive) = call.state {
        call.state = State::Answered(receive(sizes));
    }
    true
}

/// The reply to a call that was sent: `None` if the service gave no answer. Dropping it gives the reply up.
pub(crate) struct Call {
    token: u32,
}

impl Call {
    /// Waits for the reply to the call that the gateway gave `token`, which `receive` will read.
    pub(crate) fn new(token: u32, receive: Receive) -> Self {
        Turn::with(|turn| turn.calls.push(PendingCall { token, state: State::Waiting(receive) }));
        Call { token }
    }
}

impl Future for Call {
    type Output = Option<Received>;

    fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let reply = Turn::with(|turn| {
            let call = turn.calls.iter_mut().find(|call| call.token == self.token)?;
            match &mut call.state {
                State::Waiting(_) => None,
                State::Answered(reply) => Some(reply.take()),
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
