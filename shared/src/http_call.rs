// SPDX-License-Identifier: Apache-2.0
//! Calls to HTTP services in the middle of a request.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use proxy_wasm::types::{BufferType, MapType};

use crate::callout::{Call, Missing, Received, Sizes, send_http};
use crate::cluster::Cluster;
use crate::config::is_header_value;
use crate::headers::is_header;
use crate::host::{self, Headers};

/// Calls one HTTP service: `client.get("/path").send().await`.
#[derive(Debug)]
pub struct HttpClient {
    cluster: Cluster,
    timeout: Duration,
    max_body: usize,
}

impl HttpClient {
    /// How long a call may take unless said otherwise.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_millis(500);
    /// The longest body of a reply, in bytes, unless said otherwise: 1 MiB.
    pub const DEFAULT_MAX_BODY: usize = 1 << 20;

    /// A client for the service of a cluster.
    pub fn new(cluster: Cluster) -> Self {
        HttpClient { cluster, timeout: Self::DEFAULT_TIMEOUT, max_body: Self::DEFAULT_MAX_BODY }
    }

    /// The same client with another timeout, rounded up to milliseconds; 500 by default, 0 for none.
    pub fn timeout(self, timeout: Duration) -> Self {
        HttpClient { timeout, ..self }
    }

    /// The same client with another limit for the body of a reply, in bytes; 1 MiB by default. All requests
    /// that wait share the memory of one instance, so a service must not fill it.
    pub fn max_body(self, max_body: usize) -> Self {
        HttpClient { max_body, ..self }
    }

    /// A GET. The URL is a path with its query, sent as written, or begins with `http://host` or
    /// `https://host`, which only sets the `:authority`: the cluster decides where the call goes.
    pub fn get<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("GET", url.as_ref())
    }

    /// A HEAD; for the URL see [`get`](Self::get).
    pub fn head<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("HEAD", url.as_ref())
    }

    /// An OPTIONS; for the URL see [`get`](Self::get).
    pub fn options<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("OPTIONS", url.as_ref())
    }

    /// A POST; for the URL see [`get`](Self::get).
    pub fn post<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("POST", url.as_ref())
    }

    /// A PUT; for the URL see [`get`](Self::get).
    pub fn put<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("PUT", url.as_ref())
    }

    /// A PATCH; for the URL see [`get`](Self::get).
    pub fn patch<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("PATCH", url.as_ref())
    }

    /// A DELETE; for the URL see [`get`](Self::get).
    pub fn delete<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("DELETE", url.as_ref())
    }

    /// A CONNECT; for the URL see [`get`](Self::get). Envoy refuses one without a header `:protocol` (RFC 8441):
    /// by a reply of its own with status 503 or, if it has a connection already, as not sent.
    pub fn connect<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("CONNECT", url.as_ref())
    }

    /// A TRACE; for the URL see [`get`](Self::get).
    pub fn trace<'a>(&'a self, url: &'a (impl AsRef<[u8]> + ?Sized)) -> HttpCall<'a> {
        self.call("TRACE", url.as_ref())
    }

    fn call<'a>(&'a self, method: &'a str, url: &'a [u8]) -> HttpCall<'a> {
        HttpCall { client: self, method, url, headers: Vec::new(), body: None }
    }
}

/// A call before it is sent.
#[derive(Debug)]
#[must_use = "`send().await` sends it"]
pub struct HttpCall<'a> {
    client: &'a HttpClient,
    method: &'a str,
    url: &'a [u8],
    headers: Vec<(&'a str, &'a [u8])>,
    body: Option<&'a [u8]>,
}

impl<'a> HttpCall<'a> {
    /// Adds a header. A pseudo-header, which the call has by itself, and one that would break the call (a name
    /// that is none, a line break in the value) are left out.
    pub fn header(mut self, name: &'a str, value: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        if !name.starts_with(':') && is_header(name, value.as_ref()) {
            self.headers.push((name, value.as_ref()));
        }
        self
    }

    /// Sets the body; the gateway adds its `content-length`.
    pub fn body(mut self, body: &'a (impl AsRef<[u8]> + ?Sized)) -> Self {
        self.body = Some(body.as_ref());
        self
    }

    /// Sends the call and waits for the reply.
    ///
    /// # Errors
    /// There is no reply. When the timeout has passed there is one, the gateway's own: status 504, body
    /// `upstream request timeout`. When nobody listens there is one too: status 503.
    pub async fn send(self) -> Result<HttpReply, HttpError> {
        let (authority, path) = split_url(self.url);
        let cluster = &self.client.cluster;
        let authority = authority.unwrap_or(cluster.host().as_bytes());
        let mut headers = vec![(":method", self.method.as_bytes()), (":path", &path), (":authority", authority)];
        if !headers.iter().all(|(_, value)| is_header_value(value)) {
            return Err(HttpError::NotSent); // a line break in the URL
        }
        headers.extend(self.headers); // which `header` has checked
        let token = send_http(cluster.name(), &headers, self.body, self.client.timeout)?;
        let reply = Call::new(token, receive, self.client.max_body).await?;
        HttpReply::new(reply).ok_or(HttpError::NoAnswer)
    }
}

/// The host of a URL, if it names one, and its path with the query; without the fragment.
fn split_url(url: &[u8]) -> (Option<&[u8]>, Cow<'_, [u8]>) {
    let url = url.split(|&b| b == b'#').next().unwrap_or(url);
    let after_scheme = url.strip_prefix(b"http://").or_else(|| url.strip_prefix(b"https://"));
    let (authority, path) = match after_scheme {
        None => (None, url),
        Some(rest) => {
            let end = rest.iter().position(|b| b"/?".contains(b)).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            (authority.rsplit(|&b| b == b'@').next(), path)
        }
    };
    let path = if path.starts_with(b"/") { path.into() } else { [b"/", path].concat().into() };
    (authority, path)
}

pub(crate) fn receive(sizes: Sizes) -> Option<Received> {
    (sizes.headers > 0).then(|| Received {
        headers: host::headers(MapType::HttpCallResponseHeaders),
        body: if sizes.body > 0 { host::buffer(BufferType::HttpCallResponseBody) } else { Vec::new() },
        trailers: if sizes.trailers > 0 { host::headers(MapType::HttpCallResponseTrailers) } else { Headers::new() },
    })
}

/// The reply of a service.
#[derive(Clone, Debug)]
pub struct HttpReply {
    /// The status.
    pub status: u16,
    /// The headers, in lower case, in their order and with repeats.
    pub headers: Headers,
    /// The body.
    pub body: Vec<u8>,
    /// The trailers.
    pub trailers: Headers,
}

impl HttpReply {
    fn new(Received { mut headers, body, trailers }: Received) -> Option<Self> {
        let status = headers.iter().position(|(name, _)| name == ":status")?;
        let (_, status) = headers.remove(status);
        Some(HttpReply { status: str::from_utf8(&status).ok()?.parse().ok()?, headers, body, trailers })
    }

    /// The value of the first header of that name, whose case does not matter.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_slice())
    }
}

/// Why a call has no reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpError {
    /// The gateway knows no such cluster: the service is not imported, or its port or suffix is another.
    NoSuchCluster,
    /// The gateway could not send the call: the service has no host (its name does not resolve, it is scaled to
    /// zero, none is healthy), or the URL has a line break in it.
    NotSent,
    /// The call was sent, but the connection ended without a reply.
    NoAnswer,
    /// The reply's body is larger than the client's limit.
    TooLarge,
}

impl From<Missing> for HttpError {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::NoAnswer => HttpError::NoAnswer,
            Missing::TooLarge => HttpError::TooLarge,
        }
    }
}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HttpError::NoSuchCluster => {
                "http call: the gateway knows no such cluster; check the service's name and port"
            }
            HttpError::NotSent => "http call: the gateway could not send it",
            HttpError::NoAnswer => "http call: the connection ended without a reply",
            HttpError::TooLarge => "http call: the reply is larger than the client's limit",
        })
    }
}

impl std::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_gives_the_authority_and_the_path_as_written() {
        for (url, authority, path) in [
            ("/a%20b%2Fc?d=%26#e", None, "/a%20b%2Fc?d=%26"),
            ("", None, "/"),
            ("get", None, "/get"),
            ("http://example.com", Some("example.com"), "/"),
            ("https://example.com:8443/a/../b", Some("example.com:8443"), "/a/../b"),
            ("http://example.com?a=http://b", Some("example.com"), "/?a=http://b"),
            ("http://user:secret@[::1]:80/", Some("[::1]:80"), "/"),
        ] {
            let (got_authority, got_path) = split_url(url.as_bytes());
            assert_eq!(got_authority, authority.map(str::as_bytes), "{url}");
            assert_eq!(got_path, path.as_bytes(), "{url}");
        }
    }
}
