// SPDX-License-Identifier: Apache-2.0
//! The calls that a plugin makes, to be looked at and answered.

use std::rc::Rc;
use std::time::Duration;

use super::drive::Inner;
use super::flow::Message;
use super::state::{Call, Content, Reply};

/// An HTTP call of the plugin's.
pub struct HttpCall {
    inner: Rc<Inner>,
    token: u32,
    /// The cluster.
    pub cluster: String,
    /// The request.
    pub request: Message,
    /// How long it may take; zero for as long as it likes.
    pub timeout: Duration,
}

impl HttpCall {
    pub(super) fn new(inner: &Rc<Inner>, token: u32) -> Option<Self> {
        match inner.with(|state| state.calls.get(&token).cloned())? {
            Call { cluster, content: Content::Http { message: request, timeout }, .. } => {
                Some(HttpCall { inner: Rc::clone(inner), token, cluster, request, timeout })
            }
            Call { .. } => None,
        }
    }

    /// The service answers.
    pub fn reply(self, status: u16, headers: &[(&str, &[u8])], body: impl AsRef<[u8]>) {
        let mut all = vec![(":status".to_owned(), status.to_string().into_bytes())];
        all.extend(headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.to_vec())));
        self.reply_with(Message { headers: all, body: body.as_ref().to_vec(), ..Message::default() });
    }

    /// The service answers in every detail.
    pub fn reply_with(self, reply: Message) {
        self.inner.reply(self.token, Some(Reply::Http(reply)));
        self.inner.settle();
    }

    /// The connection ends without an answer.
    pub fn fail(self) {
        self.inner.reply(self.token, None);
        self.inner.settle();
    }

    /// The service does not answer in time, so the gateway does.
    pub fn time_out(self) {
        self.inner.with(|state| state.now += self.timeout);
        let body = "upstream request timeout";
        let length = body.len().to_string();
        self.reply(504, &[("content-length", length.as_bytes()), ("content-type", b"text/plain")], body);
    }
}

/// A Redis call of the plugin's.
pub struct RedisCall {
    inner: Rc<Inner>,
    token: u32,
    /// The cluster.
    pub cluster: String,
    /// The command and its arguments.
    pub command: Vec<Vec<u8>>,
}

impl RedisCall {
    pub(super) fn new(inner: &Rc<Inner>, token: u32) -> Option<Self> {
        match inner.with(|state| state.calls.get(&token).cloned())? {
            Call { cluster, content: Content::Redis { command, .. }, .. } => {
                Some(RedisCall { inner: Rc::clone(inner), token, cluster, command })
            }
            Call { .. } => None,
        }
    }

    /// The command as text, with spaces between its parts.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.command.join(&b' ')).into_owned()
    }

    /// Redis answers these bytes.
    pub fn reply(self, bytes: impl AsRef<[u8]>) {
        self.inner.reply(self.token, Some(Reply::Redis(bytes.as_ref().to_vec())));
        self.inner.settle();
    }

    /// The connection ends, or the time has passed, without an answer.
    pub fn fail(self) {
        self.inner.reply(self.token, None);
        self.inner.settle();
    }
}
