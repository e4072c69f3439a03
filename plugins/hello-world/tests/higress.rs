// SPDX-License-Identifier: Apache-2.0
//! hello-world as built for Higress, and linked into the test.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use serde_json::json;
use testkit::host::{Plugin, Request};

testkit::both!(
    answers,
    any_byte_in_a_header,
    no_body_with_a_content_type,
    a_body_is_left_alone,
    no_configuration,
    configuration_errors,
    a_rule_of_each_category,
    no_more_host_calls_than_needed,
);

fn assert_answered(request: &Request) {
    let answer = request.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "hello world"));
    assert_eq!(answer.header("content-type"), [b"text/plain"]);
    assert_eq!(request.upstream(), None);
}

fn answers(plugin: Plugin) {
    let higress = plugin.start("{}").unwrap();
    for method in ["GET", "HEAD", "DELETE"] {
        assert_answered(&higress.request(method, "/any").send());
    }
    assert_eq!(higress.log(), "");
}

fn any_byte_in_a_header(plugin: Plugin) {
    let high: Vec<u8> = (0x80..=0xff).collect();
    let higress = plugin.start(json!({"_rules_": [{"_match_domain_": ["*"]}]})).unwrap();
    assert_answered(&higress.request("GET", "/").authority("").header(":authority", &high).header("x", &high).send());
}

fn no_body_with_a_content_type(plugin: Plugin) {
    let higress = plugin.start("{}").unwrap();
    assert_answered(&higress.request("POST", "/").header("content-type", "application/json").send());
}

fn a_body_is_left_alone(plugin: Plugin) {
    let higress = plugin.start("{}").unwrap();
    assert_answered(&higress.request("POST", "/").body("one").body("two").send());
    let request = higress.request("POST", "/").begin();
    assert_answered(&request);
}

fn no_configuration(plugin: Plugin) {
    assert_answered(&plugin.start("").unwrap().get("/"));
}

fn configuration_errors(plugin: Plugin) {
    for (config, reason) in [
        ("{", ""),
        ("null", ""),
        (r#"{"name": "x"}"#, "name: unknown key"),
        (r#"{"_rules_": []}"#, "_rules_: has no rule"),
        (r#"{"_rules_": [{}]}"#, "_rules_[0]: has no condition"),
    ] {
        let refused = plugin.start(config).err().unwrap();
        let said = refused.plugin_said().unwrap_or_default();
        assert!(said.starts_with(&format!("[hello-world] configuration refused: {reason}")), "{config}: {said}");
    }
}

fn a_rule_of_each_category(plugin: Plugin) {
    for (rule, matches) in [
        (json!({"_match_route_": ["route"]}), true),
        (json!({"_match_route_": ["other"]}), false),
        (json!({"_match_domain_": ["*.example.com"]}), true),
        (json!({"_match_domain_": ["example.com"]}), false),
        (json!({"_match_service_": ["upstream.static:80"]}), true),
        (json!({"_match_service_": ["upstream.static:81"]}), false),
        (json!({"_match_route_": ["route"], "_match_service_": ["upstream.static"]}), true),
        (json!({"_match_route_": ["route"], "_match_service_": ["other.static"]}), false),
        (json!({"_match_route_prefix_": ["ro"]}), true),
        (json!({"_match_route_prefix_": ["oute"]}), false),
    ] {
        let request = plugin.start(json!({"_rules_": [rule]})).unwrap().get("/");
        if matches {
            assert_answered(&request);
        } else {
            assert_eq!(request.answered_by_upstream().text(), "from upstream", "{rule}");
        }
    }
}

fn no_more_host_calls_than_needed(plugin: Plugin) {
    let higress = plugin.start("{}").unwrap();
    let before: u64 = higress.host_calls().values().sum();
    assert_answered(&higress.get("/"));
    assert_eq!(higress.host_calls()["proxy_send_local_response"], 1);
    assert_eq!(higress.host_calls().values().sum::<u64>() - before, 1);
}
