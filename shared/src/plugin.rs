// SPDX-License-Identifier: Apache-2.0
//! What a plugin is.

use std::borrow::Cow;
use std::fmt;

use serde::de::DeserializeOwned;

use crate::{ConfigError, Request, Response};

/// A plugin: what it does with a request, under one configuration. The configuration that applies to the
/// request (that of a rule, or the global one) is `self`.
pub trait Plugin: Sized + 'static {
    /// What the operator writes, as serde reads it. Unknown keys are refused (but for a struct with
    /// `#[serde(flatten)]`, which takes any); a plugin that has nothing to configure says
    /// [`NoConfig`](crate::NoConfig).
    type Config: DeserializeOwned;

    /// Whether the configuration of a rule has the global keys that it does not set itself. By default it
    /// stands alone.
    const RULES_INHERIT: bool = false;

    /// Makes the plugin of its configuration.
    ///
    /// # Errors
    /// What serde cannot check by itself: which key is wrong, and why. The configuration is then refused as
    /// a whole, and the gateway keeps the one before.
    fn new(config: Self::Config) -> Result<Self, ConfigError>;

    /// What happens to a request, from its headers to its answer. The future is dropped when the client
    /// goes away.
    ///
    /// # Errors
    /// What `?` brings; [`on_error`](Self::on_error) decides what the client gets.
    fn handle(&self, request: Request) -> impl Future<Output = Result<Response, Error>>;

    /// What a request gets when `handle` failed; the error has been logged. By default the answer 500.
    fn on_error(&self, _error: &Error) -> OnError {
        OnError::Answer(Response::new(500).body("internal server error\n"))
    }
}

/// What a request gets when its plugin failed.
#[derive(Debug)]
pub enum OnError {
    /// It goes on as if the plugin were not there.
    Pass,
    /// This answer. A response whose headers have gone on already is broken off instead.
    Answer(Response),
}

/// Why a plugin could not do its work on a request. Only for the log: a client never sees it.
///
/// `?` makes one of any error. It does not implement [`std::error::Error`] itself, as in `anyhow`.
#[derive(Debug)]
pub struct Error(Box<dyn std::error::Error>);

impl Error {
    /// An error for a reason of the plugin's own.
    pub fn new(reason: impl Into<Cow<'static, str>>) -> Self {
        Error(Box::new(Reason(reason.into())))
    }

    /// The error that this was made of, if it is an `E`, such as an [`HttpError`](crate::HttpError).
    pub fn downcast_ref<E: std::error::Error + 'static>(&self) -> Option<&E> {
        self.0.downcast_ref()
    }
}

impl<E: std::error::Error + 'static> From<E> for Error {
    fn from(error: E) -> Self {
        Error(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A reason in words. Its `Debug` is its `Display`: that of a text would make every module 8 KB larger.
struct Reason(Cow<'static, str>);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Reason {}
