// SPDX-License-Identifier: Apache-2.0
//! The local gateway by itself: what the tests of the plugins stand on.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use testkit::{Envoy, Httpbin, Protocol, Valkey, http};

#[test]
fn unusual_requests_reach_httpbin_unchanged() {
    let envoy = Envoy::builder().start().unwrap();

    let mut many =
        http::request("GET", envoy.url("/headers")).header("latin", b"\x80\xff").header("huge", vec![b'x'; 60_000]);
    for i in 0..200 {
        many = many.header(&format!("h{i}"), i.to_string());
    }
    let seen = many.send().unwrap().json()["headers"].clone();
    assert_eq!(seen["Latin"], "\u{80}\u{ff}");
    assert_eq!(seen["Huge"].as_str().unwrap().len(), 60_000);
    assert_eq!(seen["H199"], "199");

    let chunked = http::request("POST", envoy.url("/post")).chunked("in chunks").send().unwrap().json();
    assert_eq!(chunked["data"], "in chunks");
    assert_eq!(chunked["headers"]["Transfer-Encoding"], "chunked");

    let sized = http::request("POST", envoy.url("/post")).body("at once").send().unwrap().json();
    assert_eq!((&sized["data"], &sized["headers"]["Content-Length"]), (&json!("at once"), &json!("7")));

    let empty = http::request("POST", envoy.url("/post")).header("content-type", "text/plain").send().unwrap().json();
    assert_eq!((&empty["data"], &empty["headers"]["Content-Length"]), (&json!(""), &json!("0")));
}

#[test]
fn a_reply_shows_every_header_and_any_status() {
    let envoy = Envoy::builder().start().unwrap();

    let reply = http::get(envoy.url("/response-headers?twice=a&twice=b")).unwrap();
    assert_eq!(reply.header("twice"), [b"a", b"b"]);

    assert_eq!(http::get(envoy.url("/status/503")).unwrap().status, 503);
    let redirect = http::get(envoy.url("/redirect-to?url=/get")).unwrap();
    assert_eq!((redirect.status, redirect.header("location")), (302, vec![b"/get".as_slice()]));
}

#[test]
fn envoy_counts_what_it_serves() {
    let envoy = Envoy::builder().start().unwrap();
    http::get(envoy.url("/get")).unwrap();
    assert_eq!(envoy.stat("cluster.outbound|80||httpbin.static.upstream_rq_completed").unwrap(), Some(1));
    assert_eq!(envoy.stat("no.such.counter").unwrap(), None);
}

#[test]
fn a_missing_module_is_refused_with_what_envoy_said() {
    let refused = Envoy::builder().module("ghost", "/no/such/module.wasm".into()).start().unwrap_err();
    assert!(refused.log.contains("/no/such/module.wasm"), "{}", refused.log);
    assert_eq!(refused.plugin_said(), None);
}

#[test]
fn the_upstream_and_further_clusters_are_where_the_test_says() {
    let elsewhere = Httpbin::start().unwrap();
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = Envoy::builder()
        .upstream(elsewhere.address())
        .cluster("outbound|80||redis.static", Protocol::RedisTcp, valkey.address())
        .start()
        .unwrap();
    assert_eq!(http::get(envoy.url("/get")).unwrap().status, 200);
    assert_eq!(envoy.stat("cluster.outbound|80||redis.static.membership_total").unwrap(), Some(1));
}

#[test]
fn valkey_can_be_paused_stopped_and_restarted_empty() {
    let mut valkey = Valkey::start(&[]).unwrap();
    assert_eq!(valkey.ask("INCR x").unwrap(), ":1\r\n");

    valkey.pause().unwrap();
    let mut connection = TcpStream::connect(("127.0.0.1", valkey.address().port)).unwrap();
    connection.write_all(b"PING\r\n").unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    assert!(connection.read(&mut [0; 8]).is_err(), "a paused server answered");
    valkey.resume().unwrap();
    connection.set_read_timeout(None).unwrap();
    let mut reply = [0; 7];
    connection.read_exact(&mut reply).unwrap();
    assert_eq!(&reply, b"+PONG\r\n");

    valkey.stop();
    assert!(valkey.ask("INCR x").is_err());
    assert!(valkey.pause().is_err());

    valkey.restart().unwrap();
    assert_eq!(valkey.ask("INCR x").unwrap(), ":1\r\n");
}

#[test]
fn valkey_takes_further_arguments() {
    let valkey = Valkey::start(&["--requirepass", "secret"]).unwrap();
    assert!(valkey.ask("PING").unwrap().starts_with("-NOAUTH"));
}
