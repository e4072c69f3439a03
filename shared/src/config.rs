// SPDX-License-Identifier: Apache-2.0
//! What a plugin's configuration is made of: the error that refuses it, and types for fields that cannot
//! hold nonsense.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Deserializer, de::Error as _};

/// Why a configuration is refused: which key, and what is wrong with it.
///
/// Shown as `key: reason`. A reason is lower case, without a full stop, and never holds a value that could
/// be a secret: `must be at least 1, got 0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    key: String,
    reason: String,
}

impl ConfigError {
    /// An error about `key` (a path such as `redis.port`; empty for the configuration as a whole).
    pub fn new(key: impl Into<String>, reason: impl Into<String>) -> Self {
        ConfigError { key: key.into(), reason: reason.into() }
    }

    /// The same error, about a key inside `parent`.
    pub(crate) fn inside(mut self, parent: &str) -> Self {
        let separator = if self.key.is_empty() || self.key.starts_with('[') { "" } else { "." };
        self.key = format!("{parent}{separator}{}", self.key);
        self
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.reason)
    }
}

impl std::error::Error for ConfigError {}

/// The configuration of a plugin that has nothing to configure: only `{}`, or none at all, is accepted.
#[derive(Debug, Deserialize)]
pub struct NoConfig {}

/// A status that an answer can carry: 200 to 599.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusCode(u16);

impl StatusCode {
    /// 200, the usual default.
    pub const OK: StatusCode = StatusCode(200);

    /// The number.
    pub fn get(self) -> u16 {
        self.0
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match i64::deserialize(deserializer)? {
            status @ 200..=599 => Ok(StatusCode(status as u16)),
            status => Err(D::Error::custom(format_args!("must be 200 to 599, got {status}"))),
        }
    }
}

/// A header's name: one or more token characters (RFC 9110, section 5.6.2), kept in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeaderName(String);

impl HeaderName {
    /// Checks a name and puts it into lower case; `None` if it is not a header's name.
    pub fn new(name: &str) -> Option<Self> {
        Self::is_valid(name).then(|| HeaderName(name.to_ascii_lowercase()))
    }

    pub(crate) fn is_valid(name: &str) -> bool {
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        !name.is_empty() && name.bytes().all(is_token)
    }
}

impl Deref for HeaderName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for HeaderName {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        HeaderName::new(&name)
            .ok_or_else(|| D::Error::custom("must be a header name: letters, digits and !#$%&'*+-.^_`|~"))
    }
}

/// A header's value: any text without control characters other than the tab (RFC 9110, section 5.5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderValue(String);

impl HeaderValue {
    /// Checks a value; `None` if it cannot stand in a header.
    pub fn new(value: &str) -> Option<Self> {
        is_header_value(value.as_bytes()).then(|| HeaderValue(value.to_string()))
    }
}

/// Whether these bytes can stand in a header without ending it.
pub(crate) fn is_header_value(value: &[u8]) -> bool {
    value.iter().all(|&b| b == b'\t' || !b.is_ascii_control())
}

impl AsRef<[u8]> for HeaderValue {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl<'de> Deserialize<'de> for HeaderValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = String::deserialize(deserializer)?;
        HeaderValue::new(&value)
            .ok_or_else(|| D::Error::custom("must be a header value: no line breaks or control characters"))
    }
}
