// SPDX-License-Identifier: Apache-2.0
//! A gateway in a test: the real Envoy, Valkey and httpbin on free ports, and what comes back from them.
//!
//! ```no_run
//! # fn main() -> anyhow::Result<()> {
//! use testkit::{Envoy, Gateway, http, module};
//!
//! let envoy = Envoy::builder()
//!     .module("mock-response", module::plugin("mock-response", Gateway::Envoy)?)
//!     .config(serde_json::json!({ "mockEnable": true }))
//!     .start()?;
//! let reply = http::get(envoy.url("/get"))?;
//! assert_eq!((reply.status, reply.text()), (200, "hello world"));
//! # Ok(())
//! # }
//! ```

pub mod envoy;
pub mod envoy_config;
#[cfg(feature = "host")]
pub mod host;
pub mod http;
pub mod httpbin;
pub mod manifest;
pub mod module;
pub mod process;
mod refused;
pub mod tcp;
pub mod tools;
pub mod valkey;

pub use envoy::{Envoy, Refused};
pub use envoy_config::{Address, Cluster, Protocol};
pub use httpbin::Httpbin;
pub use module::Gateway;
pub use valkey::Valkey;

use std::path::Path;

/// The folder of the workspace.
#[must_use]
pub fn workspace() -> &'static Path {
    let testkit = Path::new(env!("CARGO_MANIFEST_DIR"));
    testkit.parent().unwrap_or(testkit)
}
