// SPDX-License-Identifier: Apache-2.0
//! mock-response in the real Envoy, in front of the real httpbin.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use testkit::envoy::Refused;
use testkit::{Envoy, Gateway, http, module};

const PLUGIN: &str = env!("CARGO_PKG_NAME");

fn start(config: impl ToString) -> Result<Envoy, Refused> {
    let module = module::plugin(PLUGIN, Gateway::Envoy).unwrap();
    Envoy::builder().module(PLUGIN, module).config(config.to_string()).start()
}

fn envoy(config: impl ToString) -> Envoy {
    start(config).unwrap()
}

fn get(envoy: &Envoy, path: &str) -> http::Reply {
    http::get(envoy.url(path)).unwrap()
}

/// The values of the request header `hello` as httpbin saw them.
fn hello(reply: &http::Reply) -> Value {
    reply.json()["headers"]["Hello"].clone()
}

#[test]
fn switched_off_the_request_gets_a_header_and_passes() {
    for config in ["", "{}", r#"{"mockEnable": false}"#] {
        let envoy = envoy(config);
        let reply = get(&envoy, "/get");
        assert_eq!((reply.status, hello(&reply)), (200, json!("world")), "{config}");
    }
}

#[test]
fn the_header_is_added_to_those_of_the_client() {
    let envoy = envoy("");
    let reply = http::request("GET", envoy.url("/get")).header("hello", "client").send().unwrap();
    assert_eq!(hello(&reply), "client,world");
}

#[test]
fn switched_on_every_request_is_answered() {
    let envoy = envoy(json!({"mockEnable": true}));
    let reply = get(&envoy, "/get");
    assert_eq!((reply.status, reply.text()), (200, "hello world"));
    assert_eq!(reply.header("content-type"), [b"text/plain"]);
}

#[test]
fn status_headers_and_content_are_those_of_the_configuration() {
    let headers = json!({"Content-Type": "application/json", "x-mocked": "\u{e9}"});
    let envoy = envoy(json!({"mockEnable": true, "statusCode": 503.0, "headers": headers, "content": "{}"}));
    let reply = get(&envoy, "/get");
    assert_eq!((reply.status, reply.text()), (503, "{}"));
    assert_eq!(reply.header("content-type"), [b"application/json"]);
    assert_eq!(reply.header("x-mocked"), ["\u{e9}".as_bytes()]);
}

#[test]
fn a_status_without_a_body_breaks_nothing_that_follows_on_the_connection() {
    for status in [204, 304] {
        let envoy = envoy(json!({"mockEnable": true, "statusCode": status, "content": "must not be sent"}));
        let mut connection = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
        connection.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn an_empty_content_is_an_empty_body() {
    let envoy = envoy(json!({"mockEnable": true, "statusCode": 204, "content": ""}));
    let reply = get(&envoy, "/get");
    assert_eq!((reply.status, reply.text()), (204, ""));
}

#[test]
fn a_rule_changes_the_answer_for_its_route_domain_or_service() {
    let mock = |condition: &str, values: Value| json!({condition: values, "mockEnable": true, "content": condition});
    let envoy = envoy(json!({"mockEnable": false, "_rules_": [
        mock("_match_domain_", json!(["*.example.com"])),
        mock("_match_route_", json!(["default"])),
    ]}));
    let reply = http::request("GET", envoy.url("/get")).header("host", "www.example.com:8080").send().unwrap();
    assert_eq!(reply.text(), "_match_domain_");
    assert_eq!(get(&envoy, "/get").text(), "_match_route_");

    let envoy = self::envoy(json!({"_rules_": [
        mock("_match_route_", json!(["other"])),
        mock("_match_service_", json!(["other.static", "httpbin.static:8080"])),
        mock("_match_service_", json!(["httpbin.static:80"])),
    ]}));
    assert_eq!(get(&envoy, "/get").text(), "_match_service_");
}

#[test]
fn without_a_rule_or_a_global_configuration_that_applies_the_request_is_left_alone() {
    let envoy = envoy(json!({"_rules_": [{"_match_route_": ["other"], "mockEnable": true}]}));
    let reply = get(&envoy, "/get");
    assert_eq!((reply.status, hello(&reply)), (200, Value::Null));
}

#[test]
fn strange_requests_are_served() {
    let envoy = envoy("");
    let url = |path: &str| envoy.url(path);
    let many = (0..200).fold(http::request("GET", url("/get")), |r, n| r.header(&format!("x-{n}"), "v"));
    for request in [
        many,
        http::request("GET", url("/get")).header("hello", (0x80..=0xff).collect::<Vec<u8>>()),
        http::request("GET", url("/get")).header("x-long", "a".repeat(60_000)),
        http::request("POST", url("/post")).header("content-type", "application/json"),
        http::request("POST", url("/post")).header("content-type", "application/json").chunked(""),
        http::request("POST", url("/post")).chunked("chunk".repeat(10_000)),
    ] {
        assert_eq!(request.send().unwrap().status, 200);
    }
}

#[test]
fn a_bad_configuration_is_refused_in_one_line() {
    let header_name = "must be a header name: letters, digits and !#$%&'*+-.^_`|~";
    for (config, reason) in [
        ("{", "is not JSON: see line 1, column 1"),
        ("[]", "must be a JSON object"),
        (r#"{"mockEnable": "yes"}"#, "mockEnable: must be a boolean, got a string"),
        (r#"{"statusCode": 600}"#, "statusCode: must be 200 to 599, got 600"),
        (r#"{"statusCode": 200.5}"#, "statusCode: must be a whole number, got a number with a fraction, or too large"),
        (r#"{"headers": {"a b": "c"}}"#, &format!("headers.a b: {header_name}")),
        (r#"{"headers": {":status": "c"}}"#, &format!("headers.:status: {header_name}")),
        (r#"{"headers": {"a": "b\nc"}}"#, "headers.a: must be a header value: no line breaks or control characters"),
        (r#"{"mockenable": true}"#, "mockenable: unknown key; accepted: mockEnable, statusCode, headers, content"),
        // A line break in a key begins no line of its own in the log.
        (r#"{"a\nb": 1}"#, "a b: unknown key; accepted: mockEnable, statusCode, headers, content"),
        (
            r#"{"_rules_": [{}]}"#,
            "_rules_[0]: has no condition; it needs one of _match_route_, _match_domain_, _match_service_, \
             _match_route_prefix_",
        ),
        (
            r#"{"_rules_": [{"_match_route_": ["a"]}, {"_match_route_": ["b"], "content": 1}]}"#,
            "_rules_[1].content: must be a string, got a number",
        ),
        // Beside good rules, Go passes over a bad global configuration in silence.
        (r#"{"content": 1, "_rules_": [{"_match_route_": ["a"]}]}"#, "content: must be a string, got a number"),
    ] {
        let refused = start(config).unwrap_err();
        let expected = format!("[{PLUGIN}] configuration refused: {reason}");
        assert_eq!(refused.plugin_said(), Some(expected.as_str()), "{config}");
    }
}
