// SPDX-License-Identifier: Apache-2.0
//! What every plugin of this catalogue needs, and nothing else.
//!
//! A plugin is a type that implements [`Plugin`]: one request is one call of its async `handle`. See the
//! repository's README for the shape of one, and for what the utilities of the Go SDK are called here.

mod body;
mod callout;
mod cluster;
mod config;
mod deserialize;
mod headers;
mod host;
mod http_call;
mod json;
mod logging;
mod never_called;
mod pairs;
mod plugin;
mod redis;
mod reply;
mod request;
mod resp;
mod response;
mod rules;
mod runtime;
mod turn;

pub use body::{EditBody, Editable, ReadBody, ReadOnly};
pub use cluster::Cluster;
pub use config::{ConfigError, HeaderName, HeaderValue, NoConfig, StatusCode};
pub use headers::EditHeaders;
pub use host::Headers;
pub use http_call::{HttpCall, HttpClient, HttpError, HttpReply};
pub use plugin::{Error, OnError, Plugin};
pub use redis::{RedisClient, RedisOptions};
pub use reply::{FromReply, Pairs, RedisError, ToArg, Unexpected};
pub use request::{Request, RequestBody, now, property};
pub use resp::Reply;
pub use response::{Body, LocalReply, Response, ResponseBody, UpstreamResponse};
#[doc(hidden)]
pub use runtime::start;

/// What a plugin's file begins with: `use shared::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Cluster, ConfigError, EditBody, EditHeaders, Error, HeaderName, HeaderValue, HttpClient, HttpError, NoConfig,
        OnError, Plugin, ReadBody, RedisClient, RedisError, RedisOptions, Request, Response, StatusCode, now, plugin,
        property,
    };
    pub use log;
    pub use serde::Deserialize;
}

/// Makes a type that implements [`Plugin`] the plugin of this module. In the log it has its crate's name.
#[macro_export]
macro_rules! plugin {
    ($plugin:ty) => {
        #[cfg(target_os = "wasi")]
        unsafe extern "C" {
            fn __wasm_call_ctors();
        }

        #[doc(hidden)]
        #[unsafe(no_mangle)]
        pub extern "C" fn _initialize() {
            #[cfg(target_os = "wasi")]
            unsafe {
                __wasm_call_ctors();
            }
            $crate::start::<$plugin>(env!("CARGO_PKG_NAME"));
        }
    };
}
