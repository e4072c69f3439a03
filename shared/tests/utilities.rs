// SPDX-License-Identifier: Apache-2.0
//! Every utility, by the plugin of `examples/utilities.rs`, in the real Envoy in front of the real httpbin.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::thread;

use serde_json::{Value, json};
use testkit::{Address, Envoy, Gateway, http, module};

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    ENVOY.get_or_init(|| {
        let module = module::example("shared", "utilities", Gateway::Envoy).unwrap();
        Envoy::builder().module("utilities", module).start().unwrap()
    })
}

fn request(method: &str, scenario: &str) -> http::Request {
    http::request(method, envoy().url(&format!("/anything/{scenario}")))
}

fn get(scenario: &str) -> http::Reply {
    request("GET", scenario).send().unwrap()
}

/// The value of a header as httpbin saw it.
fn seen(reply: &http::Reply, header: &str) -> Value {
    reply.json()["headers"][header].clone()
}

#[test]
fn any_byte_of_a_header_reaches_the_plugin_and_the_upstream() {
    let all_high_bytes: Vec<u8> = (0x80..=0xff).collect();
    let reply = request("GET", "copy-header").header("x-in", &all_high_bytes).send().unwrap();
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&reply, "X-Out"), seen(&reply, "X-In"));
    assert_eq!(seen(&reply, "X-Text"), "(no text)");

    let reply = request("GET", "copy-header").header("x-in", "text").send().unwrap();
    assert_eq!((seen(&reply, "X-Out"), seen(&reply, "X-Text")), (json!("text"), json!("text")));
    assert_eq!(seen(&get("copy-header"), "X-Out"), "(none)");
    let twice = request("GET", "copy-header").header("x-in", "a").header("x-in", "b").send().unwrap();
    assert_eq!(seen(&twice, "X-Out"), "a");
}

#[test]
fn request_headers_are_added_replaced_and_removed() {
    let request = request("GET", "edit-headers");
    let request = request.header("x-added", "1").header("x-replaced", "old").header("x-removed", "here");
    let reply = request.send().unwrap();
    assert_eq!(seen(&reply, "X-Added"), "1,2");
    assert_eq!(seen(&reply, "X-Replaced"), "new");
    assert_eq!(seen(&reply, "X-Removed"), Value::Null);
}

#[test]
fn a_header_that_would_break_the_message_is_left_out() {
    let reply = get("edit-headers");
    assert_eq!(reply.status, 200);
    assert_eq!(seen(&reply, "X-Broken"), Value::Null);
    assert_eq!(seen(&reply, "X-Injected"), Value::Null);
    assert!(envoy().log().contains("header x-broken left out: its name or its value is not that of a header"));
}

#[test]
fn all_request_headers_are_replaced() {
    let reply = request("GET", "replace-headers").header("x-other", "1").send().unwrap();
    assert_eq!((seen(&reply, "X-Only"), seen(&reply, "X-Other")), (json!("left"), Value::Null));
}

#[test]
fn the_parts_of_a_request_are_readable() {
    let port = envoy().port();
    let reply = http::request("PUT", envoy().url("/anything/describe?a=%20b&c")).send().unwrap();
    let expected =
        format!("PUT http 127.0.0.1:{port} /anything/describe a=%20b&c default outbound|80||httpbin.static HTTP/1.1");
    assert_eq!(reply.text(), expected);
    let seconds: u64 = str::from_utf8(reply.header("x-seconds")[0]).unwrap().parse().unwrap();
    assert!(seconds > 1_700_000_000, "{seconds} is a time of this decade");
}

#[test]
fn a_request_body_is_read_and_reaches_the_upstream_as_it_was() {
    let reply = request("POST", "read-body").body("go").send().unwrap();
    assert_eq!(reply.json()["data"], "go");
    assert_eq!(seen(&reply, "Content-Length"), "2");
    let reply = request("POST", "read-body").body("stop").send().unwrap();
    assert_eq!((reply.status, reply.text()), (403, "the body says stop\n"));
}

#[test]
fn a_chunked_request_body_is_read_whole() {
    let body = "0123456789".repeat(20_000);
    let reply = request("POST", "read-body").chunked(&body).send().unwrap();
    assert_eq!(reply.json()["data"], Value::String(body));
}

#[test]
fn no_request_body_is_an_empty_one() {
    for request in [
        request("GET", "read-body"),
        request("GET", "read-body").header("content-type", "application/json"),
        request("POST", "read-body").header("content-length", "0").header("content-type", "text/plain"),
        request("POST", "read-body").header("content-type", "text/plain").chunked(""),
        request("POST", "edit-body").header("content-type", "text/plain"),
    ] {
        let reply = request.send().unwrap();
        assert_eq!((reply.status, &reply.json()["url"].is_string()), (200, &true));
    }
}

#[test]
fn a_request_body_is_changed() {
    for request in [request("POST", "edit-body").body("hello"), request("POST", "edit-body").chunked("hello")] {
        let reply = request.send().unwrap();
        assert_eq!(reply.json()["data"], "<HELLO>");
    }
}

#[test]
fn a_body_that_the_plugin_has_not_seen_does_not_pass_behind_an_early_answer() {
    let upstream = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::local(upstream.local_addr().unwrap().port());
    let module = module::example("shared", "utilities", Gateway::Envoy).unwrap();
    let envoy = Envoy::builder().module("utilities", module).upstream(address).start().unwrap();
    let seen = thread::spawn(move || {
        let (mut connection, _) = upstream.accept().unwrap();
        let mut seen = Vec::new();
        while !seen.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            connection.read_exact(&mut byte).unwrap();
            seen.push(byte[0]);
        }
        connection.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly").unwrap();
        let _ = connection.read_to_end(&mut seen); // until the gateway gives the connection up
        String::from_utf8(seen).unwrap()
    });

    let mut client = TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
    let head = "POST /anything/read-body HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 15];
    client.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200 OK");
    let _ = client.write_all(b"4\r\nstop\r\n0\r\n\r\n");
    let _ = client.read_to_end(&mut Vec::new());
    drop((client, envoy));
    let seen = seen.join().unwrap();
    assert!(seen.starts_with("POST /anything/read-body") && !seen.contains("stop"), "{seen}");
}

#[test]
fn a_request_body_beyond_the_buffer_is_the_gateways_413() {
    let reply = request("POST", "read-body").body(vec![b'a'; 4 << 20]).send().unwrap();
    assert_eq!(reply.status, 413);
    assert_eq!(get("read-body").status, 200);
}

#[test]
fn response_headers_are_added_replaced_and_removed() {
    let reply = get("edit-response-headers");
    assert_eq!(reply.header("x-status"), [b"200"]);
    assert_eq!(reply.header("content-type"), [b"text/x-replaced"]);
    assert!(reply.header("access-control-allow-origin").is_empty());
    assert_eq!(get("other").header("content-type"), [b"application/json"]);
}

#[test]
fn all_response_headers_are_replaced() {
    let reply = get("replace-response-headers");
    assert_eq!((reply.status, reply.header("x-only")), (200, vec![b"left".as_slice()]));
    assert!(reply.header("content-type").is_empty());
    assert!(reply.json()["url"].is_string(), "the body is whole");
}

#[test]
fn a_response_body_is_changed() {
    let length = get("edit-response-body-not").body.len() - "-not".len();
    let reply = get("edit-response-body");
    assert_eq!(reply.text(), format!("<{length}>"));
}

#[test]
fn both_bodies_are_read() {
    let reply = request("POST", "read-both-bodies").body("hello").send().unwrap();
    assert_eq!(reply.json()["data"], "hello");
    assert!(envoy().log().contains("[shared] 5 bytes sent, "), "{}", envoy().log());
}

#[test]
fn a_response_is_replaced() {
    let reply = get("replace-response");
    assert_eq!((reply.status, reply.text()), (418, "instead of 200\n"));
}

#[test]
fn a_failure_is_answered_500_and_logged() {
    for (scenario, log) in [
        ("fail", "[shared] failed on the way there"),
        ("fail-after-body", "[shared] failed on the body"),
        ("fail-after-response", "[shared] failed on the way back"),
        ("wait-for-nothing", "[shared] waits for something that the gateway does not bring"),
    ] {
        let reply = request("POST", scenario).body("x").send().unwrap();
        assert_eq!((reply.status, reply.text()), (500, "internal server error\n"), "{scenario}");
        assert!(envoy().log().contains(log), "{scenario}");
    }
}

#[test]
fn a_failure_after_the_response_headers_breaks_the_response_off() {
    assert!(request("GET", "fail-after-response-body").send().is_err());
    assert_eq!(get("other").status, 200);
}

#[test]
fn a_panic_is_logged_with_its_message() {
    let module = module::example("shared", "utilities", Gateway::Envoy).unwrap();
    let envoy = Envoy::builder().module("utilities", module).start().unwrap();
    assert_eq!(http::get(envoy.url("/anything/panic")).unwrap().status, 503);
    assert!(envoy.log().contains("[shared] panicked at shared/examples/utilities.rs"), "{}", envoy.log());
    assert!(envoy.log().contains("on purpose"), "{}", envoy.log());
}
