// SPDX-License-Identifier: Apache-2.0
//! hello-world in the real Envoy.
#![expect(clippy::unwrap_used, reason = "a test")]

use testkit::{Envoy, Gateway, http, module};

const PLUGIN: &str = env!("CARGO_PKG_NAME");

fn envoy(config: &str) -> Result<Envoy, testkit::envoy::Refused> {
    let module = module::plugin(PLUGIN, Gateway::Envoy).unwrap();
    Envoy::builder().module(PLUGIN, module).config(config).start()
}

#[test]
fn every_request_is_answered() {
    for config in ["", "{}"] {
        let envoy = envoy(config).unwrap();
        for request in [
            http::request("GET", envoy.url("/get")),
            http::request("POST", envoy.url("/post")).body("body"),
            http::request("POST", envoy.url("/post")).chunked("body"),
            http::request("POST", envoy.url("/post")).header("content-type", "text/plain"),
            http::request("GET", envoy.url("/get")).header("x-any", (0x80..=0xff).collect::<Vec<u8>>()),
            http::request("GET", envoy.url("/get")).header("x-long", "a".repeat(60_000)),
        ] {
            let reply = request.send().unwrap();
            assert_eq!((reply.status, reply.text()), (200, "hello world"));
            assert_eq!(reply.header("content-type"), [b"text/plain"]);
        }
    }
}

#[test]
fn any_key_is_refused() {
    let refused = envoy(r#"{"content": "hi"}"#).unwrap_err();
    let expected = format!("[{PLUGIN}] configuration refused: content: unknown key; there is nothing to configure");
    assert_eq!(refused.plugin_said(), Some(expected.as_str()));
}
