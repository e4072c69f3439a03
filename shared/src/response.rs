// SPDX-License-Identifier: Apache-2.0
//! The answer to a request: the plugin's own, or the upstream's.

use std::borrow::Cow;
use std::marker::PhantomData;

use proxy_wasm::types::{BufferType, MapType};

use crate::body::{Buffer, EditBody, Editable, ReadBody, ReadOnly};
use crate::headers::{EditHeaders, HeaderMap, is_header};
use crate::turn::{self, Stage};
use crate::{host, pairs};

/// What a plugin makes of a request: an answer of its own, made with [`Response::new`], or the upstream's,
/// by `pass`.
#[derive(Debug)]
pub struct Response(Option<LocalReply>);

impl Response {
    /// An answer of the plugin's own, with a status from 200 to 599, which the upstream never hears of:
    /// `Response::new(429).header("retry-after", "1").body("Too many requests\n")`.
    #[expect(clippy::new_ret_no_self, reason = "a builder, which `body` ends")]
    pub fn new(status: u16) -> LocalReply {
        LocalReply { status, headers: Vec::new(), body: Cow::Borrowed(b"") }
    }

    pub(crate) fn passed() -> Self {
        Response(None)
    }

    pub(crate) fn into_local_reply(self) -> Option<LocalReply> {
        self.0
    }
}

/// An answer of the plugin's own, under construction; [`body`](Self::body) makes a [`Response`] of it.
#[derive(Debug)]
#[must_use = "`body` makes a response of it"]
pub struct LocalReply {
    status: u16,
    headers: Vec<(String, Vec<u8>)>,
    body: Cow<'static, [u8]>,
}

impl LocalReply {
    /// Adds a header. One that would break the answer (a name that is none, a line break in the value) is
    /// left out, with an error in the log.
    pub fn header(mut self, name: impl AsRef<str>, value: impl AsRef<[u8]>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if is_header(name, value) {
            self.headers.push((name.to_string(), value.to_vec()));
        }
        self
    }

    /// The answer with this body, which may be empty, and is left out of a 204 or 304. Its `content-type` is `text/plain` unless a header
    /// says otherwise, its `content-length` is set by the gateway.
    pub fn body(mut self, body: impl Into<Body>) -> Response {
        self.body = body.into().0;
        Response(Some(self))
    }

    /// Hands the answer to the gateway.
    pub(crate) fn send(self) {
        let headers = if self.headers.is_empty() { Vec::new() } else { pairs::encode(&self.headers) };
        let status = if (200..=599).contains(&self.status) {
            self.status
        } else {
            log::error!("{} is no status to answer with, so it is 500", self.status);
            500
        };
        // With a body these two break the connection for what follows on it (RFC 9110, section 6.4.1).
        let body = if matches!(status, 204 | 304) { &[] } else { self.body.as_ref() };
        host::expect_done(host::send_local_response(status, &headers, body), "send", "answer");
    }
}

/// The bytes of a body: made of a text or of bytes, fixed or owned.
#[derive(Debug)]
pub struct Body(Cow<'static, [u8]>);

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Body(Cow::Borrowed(text.as_bytes()))
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Self {
        Body(Cow::Borrowed(bytes))
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Body(Cow::Owned(text.into_bytes()))
    }
}

impl From<&String> for Body {
    fn from(text: &String) -> Self {
        Body(Cow::Owned(text.clone().into_bytes()))
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Body(Cow::Owned(bytes))
    }
}

/// The upstream's response, or the gateway's own in its place, whose headers are here and wait. What lets
/// them go on takes it away.
#[derive(Debug)]
#[must_use = "a response goes on with `pass` or `body`, or is replaced with `Response::new`"]
pub struct UpstreamResponse(());

impl HeaderMap for UpstreamResponse {
    const MAP: MapType = MapType::HttpResponseHeaders;
}

impl EditHeaders for UpstreamResponse {}

impl UpstreamResponse {
    pub(crate) fn new() -> Self {
        UpstreamResponse(())
    }

    /// The status; 0 if it is no number, which the gateway does not let happen.
    pub fn status(&self) -> u16 {
        self.header_str(":status").and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Lets the response go on; the plugin is done with it.
    pub fn pass(self) -> Response {
        Response::passed()
    }

    /// Lets the headers go on, and comes back when the whole body is here, which waits. At once if there is
    /// none. A body larger than the gateway's buffer breaks off the response.
    pub async fn body(self) -> ResponseBody<ReadOnly> {
        body().await
    }

    /// Like [`body`](Self::body), for a body that is to be changed: takes `content-length` away.
    pub async fn body_mut(mut self) -> ResponseBody<Editable> {
        if !turn::has_ended() {
            self.remove_header("content-length");
        }
        body().await
    }
}

async fn body<Access>() -> ResponseBody<Access> {
    turn::advance(Stage::ResponseBody);
    turn::end().await;
    ResponseBody(PhantomData)
}

/// The whole body of a response.
#[derive(Debug)]
#[must_use = "the response goes on with `pass`"]
pub struct ResponseBody<Access>(PhantomData<Access>);

impl<Access> Buffer for ResponseBody<Access> {
    const BUFFER: BufferType = BufferType::HttpResponseBody;
}

impl<Access> ReadBody for ResponseBody<Access> {}
impl EditBody for ResponseBody<Editable> {}

impl<Access> ResponseBody<Access> {
    /// Lets the body go on; the plugin is done.
    pub fn pass(self) -> Response {
        Response::passed()
    }
}
