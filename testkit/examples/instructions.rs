// SPDX-License-Identifier: Apache-2.0
//! Prints what the life of one request costs in each plugin as built for Higress: the instructions that its module
//! executes, and the calls that it makes to the gateway.
#![expect(clippy::unwrap_used, reason = "a tool for the developers")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::host::{Higress, Plugin, Request};

/// One request with 12 headers, from its first callback to its last.
fn live(higress: &Higress, serve: impl Fn(&Request)) {
    let request = higress.request("GET", "/path?query").header("accept", "*/*").header("user-agent", "curl/8.5.0");
    let request = request.header("accept-encoding", "gzip").header("accept-language", "en").header("cookie", "a=b");
    serve(&request.header("x-forwarded-for", "10.0.0.1").send());
}

fn print(name: &str, plugin: &str, config: Value, serve: impl Fn(&Request)) {
    let gateway = Plugin::built(plugin).gateway();
    let higress = gateway.cluster("outbound|80||service.static").start(config).unwrap();
    live(&higress, &serve); // the first one fills what later ones find
    let measure = || (higress.instructions().unwrap_or_default(), higress.host_calls());
    let before = measure();
    live(&higress, &serve);
    let after = measure();
    let mut calls = BTreeMap::new();
    for (call, count) in after.1 {
        let count = count - before.1.get(&call).copied().unwrap_or_default();
        if count > 0 {
            calls.insert(call, count);
        }
    }
    let list: Vec<_> = calls.iter().map(|(call, count)| format!("{count} {call}")).collect();
    println!(
        "{name}: {} instructions, {} host calls: {}",
        after.0 - before.0,
        calls.values().sum::<u64>(),
        list.join(", ")
    );
}

fn main() {
    print("hello-world", "hello-world", json!({}), |request| drop(request.answer()));
    print("mock-response, mocked", "mock-response", json!({"mockEnable": true}), |request| drop(request.answer()));
    print("mock-response, passed on", "mock-response", json!({}), |request| drop(request.answered_by_upstream()));
    let http_call = json!({"serviceName": "service.static", "requestPath": "/token", "tokenHeader": "x-token"});
    print("http-call", "http-call", http_call, |request| {
        request.http_call().reply(200, &[("content-length", b"0"), ("x-token", b"secret")], "");
        drop(request.answered_by_upstream());
    });
    let redis_demo = json!({"serviceName": "service.static", "qpm": 60});
    print("redis-demo, allowed", "redis-demo", redis_demo.clone(), |request| {
        request.redis_call().reply(":1\r\n");
        drop(request.answered_by_upstream());
    });
    print("redis-demo, denied", "redis-demo", redis_demo, |request| {
        request.redis_call().reply(":61\r\n");
        drop(request.answer());
    });
}
