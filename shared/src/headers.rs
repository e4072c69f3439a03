// SPDX-License-Identifier: Apache-2.0
//! Reading and editing the headers of a request or a response while they wait for the plugin.

use proxy_wasm::types::MapType;

use crate::config::{HeaderName, is_header_value};
use crate::host::{self, Headers};

/// The header maps of the gateway that a plugin can edit.
pub(crate) trait HeaderMap {
    const MAP: MapType;
}

/// The headers of a [`Request`](crate::Request) or an [`UpstreamResponse`](crate::UpstreamResponse).
///
/// Names are matched without regard to case. Values are bytes: a client may send any of 0x80 to 0xff.
/// An edit that would break the message (a name that is none, a line break in a value) is left out, with an
/// error in the log.
#[expect(private_bounds, reason = "only this crate knows which maps there are")]
pub trait EditHeaders: HeaderMap {
    /// The value of a header; of one that is repeated the first ([`headers`](Self::headers) has all).
    fn header(&self, name: &str) -> Option<Vec<u8>> {
        host::header(Self::MAP, name)
    }

    /// The value of a header as text; `None` also if it is not UTF-8.
    fn header_str(&self, name: &str) -> Option<String> {
        String::from_utf8(self.header(name)?).ok()
    }

    /// All headers in their order, with the pseudo-headers (`:path`, `:status`, ...) and with repeats.
    fn headers(&self) -> Headers {
        host::headers(Self::MAP)
    }

    /// Adds a header, beside those that have the name already.
    fn add_header(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        if is_header(name, value) {
            host::expect_done(host::add_header(Self::MAP, name, value), "add header", name);
        }
    }

    /// Sets a header, in the place of those that have the name already, which go even if the value is one
    /// that cannot be set.
    fn replace_header(&mut self, name: &str, value: impl AsRef<[u8]>) {
        let value = value.as_ref();
        if is_header(name, value) {
            host::expect_done(host::replace_header(Self::MAP, name, value), "replace header", name);
        } else {
            self.remove_header(name);
        }
    }

    /// Removes every header of that name.
    fn remove_header(&mut self, name: &str) {
        host::expect_done(host::remove_header(Self::MAP, name), "remove header", name);
    }

    /// Sets all headers, in the place of all that were there. Keep the pseudo-headers, and of a request
    /// `x-forwarded-proto`: Envoy finds no route without it.
    fn replace_headers<N: AsRef<str>, V: AsRef<[u8]>>(&mut self, headers: &[(N, V)]) {
        if headers.iter().all(|(name, value)| is_header(name.as_ref(), value.as_ref())) {
            host::expect_done(host::set_headers(Self::MAP, headers), "replace headers", "");
        }
    }
}

/// Whether this can be a header, or a pseudo-header, without breaking the message; if not, the log says so.
pub(crate) fn is_header(name: &str, value: &[u8]) -> bool {
    let is_header = HeaderName::is_valid(name.strip_prefix(':').unwrap_or(name)) && is_header_value(value);
    if !is_header {
        log::error!("header {name} left out: its name or its value is not that of a header");
    }
    is_header
}
