// SPDX-License-Identifier: Apache-2.0
//! mock-response as built for Higress, and linked into the test.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use serde_json::{Value, json};
use testkit::host::{Plugin, Request};

testkit::both!(
    mocked,
    passed_on,
    any_byte_in_a_header,
    no_body_with_a_content_type,
    a_body_goes_on,
    no_configuration,
    configuration_errors,
    a_rule_of_each_category,
);

fn is_mocked(request: &Request) -> bool {
    match request.upstream() {
        None => true,
        Some(upstream) => {
            assert_eq!(upstream.header("hello"), [b"world"]);
            assert_eq!(request.answered_by_upstream().text(), "from upstream");
            false
        }
    }
}

fn mocked(plugin: Plugin) {
    let headers = json!({"Content-Type": "application/json", "x-mock": "é"});
    let config = json!({"mockEnable": true, "statusCode": 418, "headers": headers, "content": "{\"a\": 1}"});
    let request = plugin.start(config).unwrap().get("/");
    assert!(is_mocked(&request));
    let answer = request.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (418, "{\"a\": 1}"));
    assert_eq!(answer.header("content-type"), [b"application/json"]);
    assert_eq!(answer.header("x-mock"), ["é".as_bytes()]);
    assert_eq!(answer.header("content-length"), [b"8"]);
}

fn passed_on(plugin: Plugin) {
    let higress = plugin.start(json!({"mockEnable": false})).unwrap();
    assert!(!is_mocked(&higress.get("/")));
    // It adds its header, and leaves one that is there.
    let request = higress.request("GET", "/").header("hello", "client").send();
    assert_eq!(request.upstream().unwrap().header("hello"), [&b"client"[..], b"world"]);
}

fn any_byte_in_a_header(plugin: Plugin) {
    let high: Vec<u8> = (0x80..=0xff).collect();
    let rules = json!([{"_match_domain_": ["a.example.com"], "mockEnable": true}]);
    let higress = plugin.start(json!({"_rules_": rules, "mockEnable": false})).unwrap();
    let request = higress.request("GET", "/").authority("").header(":authority", &high).header("x", &high).send();
    assert_eq!(request.upstream().unwrap().header("x"), [&high]);
    assert!(!is_mocked(&request));
}

fn no_body_with_a_content_type(plugin: Plugin) {
    for (enabled, mocked) in [(false, false), (true, true)] {
        let higress = plugin.start(json!({"mockEnable": enabled})).unwrap();
        let request = higress.request("POST", "/").header("content-type", "application/json").send();
        assert_eq!(is_mocked(&request), mocked);
    }
}

fn a_body_goes_on(plugin: Plugin) {
    let higress = plugin.start("{}").unwrap();
    let request = higress.request("POST", "/").body("one").body("two").send();
    assert_eq!(request.upstream().unwrap().text(), "onetwo");
    assert!(!is_mocked(&request));
}

fn no_configuration(plugin: Plugin) {
    for nothing in ["", "{}"] {
        assert!(!is_mocked(&plugin.start(nothing).unwrap().get("/")));
    }
    let answer = plugin.start(json!({"mockEnable": true})).unwrap().get("/").answer();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello world"));
}

fn configuration_errors(plugin: Plugin) {
    for (config, reason) in [
        (json!({"mockEnable": "yes"}), "mockEnable: "),
        (json!({"statusCode": 199}), "statusCode: must be 200 to 599, got 199"),
        (json!({"statusCode": 200.5}), "statusCode: "),
        (json!({"headers": {"a b": "c"}}), "headers"),
        (json!({"headers": {"a": "b\r\nc: d"}}), "headers"),
        (json!({"content": 1}), "content: "),
        (json!({"Content": "x"}), "Content: unknown key"),
        (json!({"_rules_": [{"_match_route_": ["a"], "statusCode": 600}]}), "_rules_[0].statusCode: "),
    ] {
        let refused = plugin.start(&config).err().unwrap();
        let said = refused.plugin_said().unwrap_or_default();
        assert!(said.starts_with(&format!("[mock-response] configuration refused: {reason}")), "{config}: {said}");
    }
}

fn a_rule_of_each_category(plugin: Plugin) {
    let rule = |key: &str, value: &str, content: &str| json!({key: [value], "mockEnable": true, "content": content});
    let mut both = rule("_match_route_", "both", "both");
    both["_match_service_"] = json!(["svc.dns:8080"]);
    let rules: Value = json!([
        both,
        rule("_match_route_", "route", "route"),
        rule("_match_domain_", "*.example.org", "domain"),
        rule("_match_service_", "svc.dns", "service"),
        rule("_match_route_prefix_", "prefix-", "prefix"),
    ]);
    let higress = plugin.start(json!({"mockEnable": true, "content": "global", "_rules_": rules})).unwrap();
    for (route, authority, cluster, content) in [
        ("both", "a", "outbound|8080||svc.dns", "both"),
        ("both", "a", "outbound|80||svc.dns", "service"),
        ("route", "a.example.org", "outbound|80||svc.dns", "route"),
        ("other", "a.example.org:8080", "outbound|80||svc.dns", "domain"),
        ("prefix-1", "a", "b", "prefix"),
        ("other", "example.org", "b", "global"),
    ] {
        let request = higress.request("GET", "/").route(route).authority(authority).upstream(cluster).send();
        assert_eq!(request.answer().text(), content, "{route} {authority} {cluster}");
    }
}
