// SPDX-License-Identifier: Apache-2.0
//! The request, from the moment when its headers are here until it has gone on.

use std::marker::PhantomData;
use std::time::Duration;

use proxy_wasm::types::{BufferType, MapType};

use crate::body::{Buffer, EditBody, Editable, ReadBody, ReadOnly};
use crate::headers::{EditHeaders, HeaderMap};
use crate::host;
use crate::response::{Response, UpstreamResponse};
use crate::turn::{self, Stage};

/// A request whose headers are here and wait. What lets them go on takes the request away, so that nobody
/// edits headers that have gone:
///
/// ```compile_fail,E0382
/// # async fn handle(mut request: shared::Request) {
/// use shared::EditHeaders;
/// let response = request.send().await;
/// request.add_header("too", "late");
/// # }
/// ```
///
/// ```compile_fail,E0382
/// # async fn handle(mut request: shared::Request) {
/// use shared::EditHeaders;
/// let body = request.body().await;
/// request.add_header("too", "late");
/// # }
/// ```
///
/// nor a body whose length has gone on:
///
/// ```compile_fail,E0599
/// # async fn handle(request: shared::Request) {
/// use shared::EditBody;
/// let mut body = request.body().await; // and not `body_mut()`
/// body.replace("of another length");
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a request goes on with `pass`, `send` or `body`, or is answered with `Response::new`"]
pub struct Request(());

impl HeaderMap for Request {
    const MAP: MapType = MapType::HttpRequestHeaders;
}

impl EditHeaders for Request {}

impl Request {
    pub(crate) fn new() -> Self {
        Request(())
    }

    /// The method, such as `GET`.
    pub fn method(&self) -> Vec<u8> {
        self.header(":method").unwrap_or_default()
    }

    /// The path as the client wrote it, without the query.
    pub fn path(&self) -> Vec<u8> {
        let mut path = self.header(":path").unwrap_or_default();
        path.truncate(path.iter().position(|&b| b == b'?').unwrap_or(path.len()));
        path
    }

    /// The query as the client wrote it, without the question mark; `None` if there is none.
    pub fn query(&self) -> Option<Vec<u8>> {
        let path = self.header(":path")?;
        let mark = path.iter().position(|&b| b == b'?')?;
        path.get(mark + 1..).map(<[u8]>::to_vec)
    }

    /// The host that the client asked for, with the port if the client wrote one.
    pub fn authority(&self) -> Vec<u8> {
        self.header(":authority").unwrap_or_default()
    }

    /// `http` or `https`.
    pub fn scheme(&self) -> Vec<u8> {
        self.header(":scheme").unwrap_or_default()
    }

    /// The name of the route that the request takes; empty if it has none.
    pub fn route_name(&self) -> Vec<u8> {
        host::route_name()
    }

    /// The name of the upstream cluster that the request goes to; empty if there is none.
    pub fn cluster_name(&self) -> Vec<u8> {
        host::cluster_name()
    }

    /// Lets the request go on; the plugin is done with it.
    pub fn pass(self) -> Response {
        Response::passed()
    }

    /// Lets the request go on, and comes back when the response's headers are here.
    pub async fn send(self) -> UpstreamResponse {
        send().await
    }

    /// Lets the headers go on, and comes back when the whole body is here, which waits. At once if there is
    /// none. A body larger than the gateway's buffer is the gateway's own 413. An upstream that answers before
    /// the body is whole is not waited for: its answer passes, and no more of the body goes on.
    pub async fn body(self) -> RequestBody<ReadOnly> {
        body().await
    }

    /// Like [`body`](Self::body), for a body that is to be changed: takes `content-length` away.
    pub async fn body_mut(mut self) -> RequestBody<Editable> {
        if !turn::has_ended() {
            self.remove_header("content-length");
        }
        body().await
    }
}

async fn body<Access>() -> RequestBody<Access> {
    turn::advance(Stage::RequestBody);
    turn::end().await;
    RequestBody(PhantomData)
}

async fn send() -> UpstreamResponse {
    turn::advance(Stage::Upstream);
    turn::response_headers().await;
    UpstreamResponse::new()
}

/// The whole body of a request.
#[derive(Debug)]
#[must_use = "the request goes on with `pass` or `send`, or is answered with `Response::new`"]
pub struct RequestBody<Access>(PhantomData<Access>);

impl<Access> Buffer for RequestBody<Access> {
    const BUFFER: BufferType = BufferType::HttpRequestBody;
}

impl<Access> ReadBody for RequestBody<Access> {}
impl EditBody for RequestBody<Editable> {}

impl<Access> RequestBody<Access> {
    /// Lets the body go on; the plugin is done with the request.
    pub fn pass(self) -> Response {
        Response::passed()
    }

    /// Lets the body go on, and comes back when the response's headers are here.
    pub async fn send(self) -> UpstreamResponse {
        send().await
    }
}

/// A property of the gateway by its path, such as `["source", "address"]`; `None` if there is none. Their
/// names are Envoy's attributes; a number comes as 8 bytes, little endian.
pub fn property(path: &[&str]) -> Option<Vec<u8>> {
    host::property(&path.join("\0"))
}

/// The time since the Unix epoch.
pub fn now() -> Duration {
    host::now()
}
