// SPDX-License-Identifier: Apache-2.0
//! http-call in the real Envoy; the token service and the upstream are the real httpbin, unless they must fail.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use std::net::TcpListener;

use serde_json::{Value, json};
use testkit::envoy::Refused;
use testkit::{Address, Envoy, Gateway, Httpbin, Protocol, http, module, tcp};

const PLUGIN: &str = env!("CARGO_PKG_NAME");

/// A path of httpbin's that answers with the header `x-token: secret`.
const TOKEN_PATH: &str = "/response-headers?x-token=secret";

fn start(config: &Value, service: Option<Address>) -> Result<Envoy, Refused> {
    let module = module::plugin(PLUGIN, Gateway::Envoy).unwrap();
    let envoy = Envoy::builder().module(PLUGIN, module).config(config);
    match service {
        Some(address) => envoy.cluster("outbound|80||token.static", Protocol::Http, address).start(),
        None => envoy.start(),
    }
}

fn config(request_path: &str) -> Value {
    json!({"serviceName": "token.static", "requestPath": request_path, "tokenHeader": "X-Token"})
}

fn envoy(request_path: &str) -> Envoy {
    start(&config(request_path), Some(Httpbin::shared().unwrap())).unwrap()
}

/// A request that brings tokens of its own making.
fn get(envoy: &Envoy) -> http::Reply {
    let request = http::request("GET", envoy.url("/get"));
    request.header("x-token", "forged").header("X-Token", "again").send().unwrap()
}

/// The token as httpbin saw it.
fn token(reply: &http::Reply) -> Value {
    assert_eq!(reply.status, 200);
    reply.json()["headers"]["X-Token"].clone()
}

fn assert_failed(reply: &http::Reply) {
    assert_eq!((reply.status, reply.text()), (500, "http call failed"));
}

#[test]
fn allowed_the_token_replaces_that_of_the_client() {
    assert_eq!(token(&get(&envoy(TOKEN_PATH))), "secret");
}

#[test]
fn any_byte_of_the_token_arrives() {
    let answer = b"HTTP/1.1 200 OK\r\nx-token: \xe9\xff\r\ncontent-length: 0\r\n\r\n";
    let envoy = start(&config("/get"), Some(tcp::answering(answer).unwrap())).unwrap();
    assert_eq!(token(&get(&envoy)), "\u{e9}\u{ff}");
}

#[test]
fn an_answer_without_a_token_leaves_none() {
    assert_eq!(token(&get(&envoy("/get"))), Value::Null);
}

#[test]
fn denied_another_status_is_answered_500() {
    for status in ["404", "201", "302", "503"] {
        assert_failed(&get(&envoy(&format!("/status/{status}"))));
    }
}

#[test]
fn dispatch_refused_an_unknown_cluster_passes_without_a_token() {
    let envoy = start(&config("/get"), None).unwrap();
    assert_eq!(token(&get(&envoy)), Value::Null);
    assert!(envoy.log().contains("http call: the gateway knows no such cluster"), "{}", envoy.log());
}

#[test]
fn backend_down_is_answered_500() {
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    assert_failed(&get(&start(&config("/get"), Some(Address::local(nobody))).unwrap()));
}

#[test]
fn a_service_that_never_answers_is_given_up() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::local(silent.local_addr().unwrap().port());
    let mut config = config("/get");
    config["timeout"] = json!(50);
    assert_failed(&get(&start(&config, Some(address)).unwrap()));
}

#[test]
fn backend_garbage_is_answered_500() {
    for garbage in [b"".as_slice(), b"\x00\xff garbage\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"] {
        assert_failed(&get(&start(&config("/get"), Some(tcp::answering(garbage).unwrap())).unwrap()));
    }
}

#[test]
fn a_rule_has_a_service_of_its_own() {
    let mut config = config(TOKEN_PATH);
    config["_rules_"] = json!([{
        "_match_domain_": ["other.example.com"],
        "serviceName": "httpbin.static",
        "servicePort": 80,
        "requestPath": "/response-headers?x-other=token",
        "tokenHeader": "x-other",
    }]);
    let envoy = start(&config, Some(Httpbin::shared().unwrap())).unwrap();
    let reply = http::request("GET", envoy.url("/get")).header("host", "other.example.com").send().unwrap();
    assert_eq!(reply.json()["headers"]["X-Other"], "token");
    assert_eq!(token(&get(&envoy)), "secret");
}

#[test]
fn strange_requests_are_served() {
    let envoy = envoy(TOKEN_PATH);
    for request in [
        http::request("GET", envoy.url("/get")).header("x-token", (0x80..=0xff).collect::<Vec<u8>>()),
        http::request("POST", envoy.url("/post")).header("content-type", "application/json"),
        http::request("POST", envoy.url("/post")).chunked("chunk".repeat(10_000)),
    ] {
        assert_eq!(token(&request.send().unwrap()), "secret");
    }
}

#[test]
fn a_bad_configuration_is_refused_in_one_line() {
    let with = |key: &str, value: Value| {
        let mut config = config("/get");
        config[key] = value;
        config
    };
    for (config, reason) in [
        (json!({}), "serviceName: is required"),
        (with("serviceName", json!("")), "serviceName: must not be empty"),
        (with("serviceName", json!("token.dns")), "servicePort: is missing; only a .static service has a default (80)"),
        (with("servicePort", json!(0)), "servicePort: must be a whole number from 1 to 65535, got 0"),
        (with("requestPath", json!(null)), "requestPath: is required"),
        (
            with("requestPath", json!("/a\r\nb: c")),
            "requestPath: must be a header value: no line breaks or control characters",
        ),
        (
            with("tokenHeader", json!("x token")),
            "tokenHeader: must be a header name: letters, digits and !#$%&'*+-.^_`|~",
        ),
        (with("timeout", json!(0)), "timeout: must be a whole number, 1 or more, got 0"),
        (
            with("token", json!("x")),
            "token: unknown key; accepted: serviceName, servicePort, requestPath, tokenHeader, timeout",
        ),
    ] {
        let refused = start(&config, None).unwrap_err();
        let expected = format!("[{PLUGIN}] configuration refused: {reason}");
        assert_eq!(refused.plugin_said(), Some(expected.as_str()), "{config}");
    }
}
