// SPDX-License-Identifier: Apache-2.0
//! An HTTP client that sends what a test asks for, well-behaved or not, and shows all of what came back.

use std::io::Cursor;
use std::sync::OnceLock;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;
use ureq::http::{self, HeaderName, HeaderValue};
use ureq::{Agent, SendBody};

/// What came back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// Names in lower case, and values, in the order in which they came.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// The values of every header of this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&[u8]> {
        self.headers.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_slice()).collect()
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> &str {
        str::from_utf8(&self.body).unwrap_or("(not UTF-8)")
    }

    /// The body as JSON, null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// A request before it is sent.
#[derive(Debug)]
pub struct Request {
    method: String,
    url: String,
    headers: Vec<(String, Vec<u8>)>,
    body: Vec<u8>,
    chunked: bool,
}

/// `GET url`.
///
/// # Errors
/// As [`Request::send`].
pub fn get(url: impl Into<String>) -> Result<Reply> {
    request("GET", url).send()
}

/// A request to build on.
pub fn request(method: &str, url: impl Into<String>) -> Request {
    Request { method: method.to_owned(), url: url.into(), headers: Vec::new(), body: Vec::new(), chunked: false }
}

impl Request {
    /// Adds a header; the value may be any bytes that HTTP allows, 0x80-0xff included.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    /// Sets the body, sent with its length. Without one, POST, PUT and PATCH have the length 0.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Sets the body, sent in chunks.
    #[must_use]
    pub fn chunked(mut self, body: impl AsRef<[u8]>) -> Self {
        self.chunked = true;
        self.body(body)
    }

    /// Sends it and waits for the whole reply, whatever its status; redirects are not followed.
    ///
    /// # Errors
    /// The request cannot be written down as HTTP, or there was no reply.
    pub fn send(self) -> Result<Reply> {
        let mut request = http::Request::builder().method(self.method.as_str()).uri(&self.url);
        for (name, value) in &self.headers {
            request = request.header(HeaderName::try_from(name)?, HeaderValue::from_bytes(value)?);
        }
        let has_length = !self.body.is_empty() || matches!(self.method.as_str(), "POST" | "PUT" | "PATCH");
        let mut response = if self.chunked {
            agent().run(request.body(SendBody::from_owned_reader(Cursor::new(self.body)))?)
        } else if has_length {
            agent().run(request.body(self.body)?)
        } else {
            agent().run(request.body(())?)
        }
        .with_context(|| format!("{} {}", self.method, self.url))?;
        let headers = response.headers().iter();
        Ok(Reply {
            status: response.status().as_u16(),
            headers: headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec())).collect(),
            body: response.body_mut().with_config().limit(u64::MAX).read_to_vec()?,
        })
    }
}

/// No connection is used twice: a test must not meet what an earlier one left behind.
fn agent() -> &'static Agent {
    static AGENT: OnceLock<Agent> = OnceLock::new();
    AGENT.get_or_init(|| {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .proxy(None)
            .user_agent("testkit")
            .output_buffer_size(1 << 20)
            .input_buffer_size(1 << 20)
            .max_response_header_size(1 << 20)
            .allow_non_standard_methods(true)
            .timeout_global(Some(Duration::from_secs(60)));
        config.build().new_agent()
    })
}
