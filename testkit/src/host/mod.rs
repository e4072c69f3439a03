// SPDX-License-Identifier: Apache-2.0
//! Higress in memory: runs a plugin against the gateway's own interface, Redis functions included, natively
//! and as the module that was built for Higress. A test sends requests and looks at what became of them.
//!
//! ```ignore
//! testkit::both!(allowed);
//!
//! fn allowed(plugin: Plugin) {
//!     let higress = plugin.cluster("outbound|80||redis.static").start(json!({"serviceName": "redis.static", "qpm": 5}));
//!     let request = higress.unwrap().get("/");
//!     request.redis_call().reply(b":1\r\n");
//!     request.respond(200, &[], b"from upstream");
//!     assert_eq!(request.answer().header("calltimeleft"), ["4"]);
//! }
//! ```
//!
//! It answers as Higress does (`source/extensions/common/wasm/context.cc` of its Envoy, `src/exports.cc` of its
//! proxy-wasm-cpp-host), and where its versions differ, as the strictest of them. A test fails, with the plugin's
//! log, when the plugin traps, asks for something that the gateway does not have, or leaves a request waiting for
//! nothing.

mod calls;
mod drive;
mod effects;
mod flow;
mod functions;
mod gateway;
mod guest;
mod imports;
mod native;
mod pairs;
pub mod random;
mod redis;
mod request;
mod resp;
mod state;
mod wasm;

pub use calls::{HttpCall, RedisCall};
pub use flow::Message;
pub use gateway::{Builder, Higress, Plugin};
pub use imports::{imports, is_offered};
pub use native::Linked;
pub use redis::RedisInit;
pub use request::{Request, RequestBuilder};

/// Header names and values, in their order, repeats kept.
pub type Headers = Vec<(String, Vec<u8>)>;

/// Makes two tests of each function: `natively::...`, with the plugin of this package compiled into the test, and
/// `as_built::...`, with its module for Higress. A function takes the [`Plugin`] to run. To be called once, in a file
/// of the folder `tests`.
#[macro_export]
macro_rules! both {
    ($($test:ident),* $(,)?) => {
        // Not as a library: a package that makes one beside its module gets a larger module, without LTO.
        #[path = "../src/lib.rs"]
        mod plugin;

        mod natively {
            struct ThisOne;

            impl $crate::host::Linked for ThisOne {
                const PACKAGE: &'static str = env!("CARGO_PKG_NAME");
            }

            $(
                #[test]
                fn $test() {
                    super::$test($crate::host::Plugin::linked::<ThisOne>())
                }
            )*
        }

        mod as_built {
            $(
                #[test]
                fn $test() {
                    super::$test($crate::host::Plugin::built(env!("CARGO_PKG_NAME")))
                }
            )*
        }
    };
}
