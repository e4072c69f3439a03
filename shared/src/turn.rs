// SPDX-License-Identifier: Apache-2.0
//! What the gateway and the plugin's future tell each other while the future is polled.
//!
//! A request's future is polled only inside the gateway's callbacks for that request, one at a time. So the
//! state that both sides need is one small value that the runtime lends out for the time of the poll.

use std::cell::RefCell;
use std::future::poll_fn;
use std::task::Poll;

use crate::callout::PendingCall;

/// How far a request has come. The plugin moves it on, but for `ResponseHeaders`, which the gateway brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// The plugin has answered; what is held stays held, the gateway goes its own way.
    Answered,
    /// The request's headers wait for the plugin.
    RequestHeaders,
    /// They may go on; the plugin wants the whole body, which then waits for it.
    RequestBody,
    /// The request may go on, the plugin waits for the response.
    Upstream,
    /// The response's headers wait for the plugin.
    ResponseHeaders,
    /// They may go on; the plugin wants the whole body, which then waits for it.
    ResponseBody,
    /// The plugin is done, everything may go on.
    Done,
}

/// The state lent to the future.
pub(crate) struct Turn {
    /// The gateway's number for the request.
    pub(crate) stream_id: u32,
    /// The gateway's number for what the request belongs to: the plugin under its configuration.
    pub(crate) root_id: u32,
    pub(crate) stage: Stage,
    /// Whether the message under way (the request, then the response) is here to its end.
    pub(crate) ended: bool,
    /// The calls to other services that the future waits for.
    pub(crate) calls: Vec<PendingCall>,
}

thread_local! {
    static CURRENT: RefCell<Option<Turn>> = const { RefCell::new(None) };
}

impl Turn {
    /// Runs `poll` with this state lent to it.
    pub(crate) fn lend<T>(&mut self, poll: impl FnOnce() -> T) -> T {
        let lent = Turn { calls: std::mem::take(&mut self.calls), ..*self };
        CURRENT.set(Some(lent));
        let result = poll();
        if let Some(returned) = CURRENT.take() {
            *self = returned;
        }
        result
    }

    /// Shows the state of the request whose future is being polled; `None` outside of that.
    pub(crate) fn with<T>(see: impl FnOnce(&mut Turn) -> T) -> Option<T> {
        CURRENT.with_borrow_mut(|turn| turn.as_mut().map(see))
    }

    /// Whether a callback is to come that a waiting future can have waited for.
    pub(crate) fn can_wake(&self) -> bool {
        let message = match self.stage {
            Stage::RequestBody | Stage::ResponseBody => !self.ended,
            stage => stage == Stage::Upstream,
        };
        message || self.calls.iter().any(PendingCall::is_waiting)
    }

    /// Whether a message held since `stage` may go on. One that is here to its end is held until the
    /// plugin has seen its body: there will be no other callback to hold it at.
    pub(crate) fn goes_on_from(&self, stage: Stage) -> bool {
        let reads_body = matches!(self.stage, Stage::RequestBody | Stage::ResponseBody);
        self.stage > stage && !(reads_body && self.ended)
    }
}

/// Moves the request on to `stage`.
pub(crate) fn advance(stage: Stage) {
    Turn::with(|turn| turn.stage = stage);
}

/// Whether the message under way is here to its end.
pub(crate) fn has_ended() -> bool {
    Turn::with(|turn| turn.ended).unwrap_or(false)
}

/// Waits until the message under way is here to its end.
pub(crate) async fn end() {
    until(|turn| turn.ended).await;
}

/// Waits for the response's headers.
pub(crate) async fn response_headers() {
    until(|turn| turn.stage == Stage::ResponseHeaders).await;
}

async fn until(reached: fn(&mut Turn) -> bool) {
    poll_fn(|_| match Turn::with(reached) {
        Some(true) => Poll::Ready(()),
        _ => Poll::Pending,
    })
    .await;
}
