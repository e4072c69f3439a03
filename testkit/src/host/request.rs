// SPDX-License-Identifier: Apache-2.0
//! A request: sent by a client, seen by the upstream, answered.

use std::rc::Rc;

use super::Higress;
use super::calls::{HttpCall, RedisCall};
use super::drive::Inner;
use super::flow::{At, Flow, Message};
use super::state::{Content, Stream};

/// A request before it is sent.
pub struct RequestBuilder<'a> {
    higress: &'a Higress,
    root: u32,
    pub(super) stream: Stream,
}

impl<'a> RequestBuilder<'a> {
    pub(super) fn new(higress: &'a Higress, root: u32, method: &str, path: &str) -> Self {
        let stream = Stream { root, ..Stream::default() };
        let request = RequestBuilder { higress, root, stream }
            .header(":authority", "www.example.com")
            .header(":path", path)
            .header(":method", method)
            .header(":scheme", "http")
            .header("x-forwarded-proto", "http")
            .header("x-request-id", "0e2a0eb8-9c8f-4bb4-9a5d-0a1d8c2d5b55");
        request.route("route").upstream("outbound|80||upstream.static")
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.stream.request.headers.push((name.to_ascii_lowercase(), value.as_ref().to_vec()));
        self
    }

    /// Sets the host.
    #[must_use]
    pub fn authority(mut self, authority: &str) -> Self {
        self.stream.request.headers.retain(|(name, _)| name != ":authority");
        self.stream.request.headers.insert(0, (":authority".to_owned(), authority.into()));
        self
    }

    /// Adds a part of the body.
    #[must_use]
    pub fn body(mut self, part: impl AsRef<[u8]>) -> Self {
        self.stream.request.incoming.push_back(part.as_ref().to_vec());
        self
    }

    /// Sets the name of its route.
    #[must_use]
    pub fn route(self, name: &str) -> Self {
        self.property("route_name", name)
    }

    /// Sets the cluster that the route leads to.
    #[must_use]
    pub fn upstream(self, cluster: &str) -> Self {
        self.property("cluster_name", cluster)
    }

    /// Sets a property by its path, the segments with a zero byte between them.
    #[must_use]
    pub fn property(mut self, path: &str, value: impl AsRef<[u8]>) -> Self {
        self.stream.properties.insert(path.as_bytes().to_vec(), value.as_ref().to_vec());
        self
    }

    /// Sends it whole.
    #[must_use]
    pub fn send(self) -> Request {
        let inner = Rc::clone(&self.higress.inner);
        let id = inner.guest.next_context();
        inner.with(|state| state.streams.insert(id, self.stream));
        if let Err(trap) = inner.try_call(self.root, "proxy_on_context_create", &[id, self.root]) {
            inner.fail(&format!("proxy_on_context_create trapped: {trap:#}"));
        }
        inner.settle();
        Request { inner, id }
    }

    /// Sends what is there of it; the rest comes by [`Request::send_body`].
    #[must_use]
    pub fn begin(mut self) -> Request {
        self.stream.request.open = true;
        self.send()
    }
}

/// A request that was sent.
pub struct Request {
    pub(super) inner: Rc<Inner>,
    pub(super) id: u32,
}

impl Request {
    pub(super) fn see<T>(&self, see: impl FnOnce(&mut Stream) -> T) -> T {
        let seen = self.inner.with(|state| state.streams.get_mut(&self.id).map(see));
        seen.unwrap_or_else(|| self.inner.fail("there is no such request"))
    }

    /// Sends a part of the body, which may be the last.
    pub fn send_body(&self, part: impl AsRef<[u8]>, is_last: bool) {
        self.see(|stream| {
            stream.request.incoming.push_back(part.as_ref().to_vec());
            stream.request.open = !is_last;
        });
        self.inner.settle();
    }

    /// Whether the plugin holds the request or its response.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.see(|stream| stream.request.paused || stream.response.paused)
    }

    /// Whether it has ended, with an answer or without.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.see(|stream| stream.is_over)
    }

    /// Whether it was broken off.
    #[must_use]
    pub fn was_reset(&self) -> bool {
        self.see(|stream| stream.reset)
    }

    /// What the upstream has seen so far; `None` if it has not heard of the request.
    #[must_use]
    pub fn upstream(&self) -> Option<Message> {
        self.see(|stream| stream.request.is_passed().then(|| stream.request.passed.clone()))
    }

    /// The upstream, which must have got the whole request, answers.
    pub fn respond(&self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let is_there = self.see(|stream| stream.request.is_passed() && stream.request.at == At::End && !stream.is_over);
        if !is_there {
            self.inner.fail("the upstream cannot answer: the request is not there");
        }
        self.respond_early(status, headers, body);
    }

    /// As [`respond`](Self::respond), but the upstream does not wait for the whole request.
    pub fn respond_early(&self, status: u16, headers: &[(&str, &str)], body: impl AsRef<[u8]>) {
        let mut all = vec![(":status".to_owned(), status.to_string().into_bytes())];
        all.extend(headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value.as_bytes().to_vec())));
        let message = Message { headers: all, body: body.as_ref().to_vec(), ..Message::default() };
        self.see(|stream| stream.response = Flow::from(message));
        self.inner.settle();
    }

    /// What the client got, which must be all of it.
    #[must_use]
    pub fn answer(&self) -> Message {
        let answer = self.see(|stream| (stream.is_over && !stream.reset).then(|| stream.response.passed.clone()));
        answer.filter(|answer| answer.status() > 0).unwrap_or_else(|| self.inner.fail("the client got no whole answer"))
    }

    /// Lets the upstream, which must have got the request, answer 200, and gives what the client got.
    #[must_use]
    pub fn answered_by_upstream(&self) -> Message {
        self.respond(200, &[], "from upstream");
        self.answer()
    }

    /// The client goes away.
    pub fn client_leaves(&self) {
        self.see(|stream| stream.reset = true);
        self.inner.settle();
    }

    /// The first HTTP call that the plugin has made for this request and that has no reply yet.
    #[must_use]
    pub fn http_call(&self) -> HttpCall {
        let call = HttpCall::new(&self.inner, self.token(|content| matches!(content, Content::Http { .. })));
        call.unwrap_or_else(|| self.inner.fail("the plugin has made no HTTP call for the request"))
    }

    /// The first Redis call that the plugin has made for this request and that has no reply yet.
    #[must_use]
    pub fn redis_call(&self) -> RedisCall {
        let call = RedisCall::new(&self.inner, self.token(|content| matches!(content, Content::Redis { .. })));
        call.unwrap_or_else(|| self.inner.fail("the plugin has made no Redis call for the request"))
    }

    /// How many calls that the plugin has made for this request have no reply yet.
    #[must_use]
    pub fn calls_under_way(&self) -> usize {
        self.inner.with(|state| state.calls.values().filter(|call| call.stream == self.id).count())
    }

    fn token(&self, is_it: impl Fn(&Content) -> bool) -> u32 {
        self.inner.with(|state| {
            let mut calls = state.calls.iter().filter(|(_, call)| call.stream == self.id && is_it(&call.content));
            calls.next().map_or(0, |(token, _)| *token)
        })
    }
}
