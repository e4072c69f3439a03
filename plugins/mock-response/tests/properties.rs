// SPDX-License-Identifier: Apache-2.0
//! mock-response as built for Higress, whatever comes: the configuration alone decides what the client gets.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use testkit::host::random::{self, Reply, Run, Seen};

const NAMES: &[&str] = &["hello", "content-type", "x-mock"];

fn configs() -> impl Strategy<Value = Value> {
    let headers = (any::<bool>(), "[ -~é]{0,8}").prop_map(|(is_type, value)| match is_type {
        true => json!({"Content-Type": value}),
        false => json!({"X-Mock": value, "x-other": ""}),
    });
    let status = prop_oneof![(200..600).prop_map(|code| json!(code)), Just(json!(404.0)), Just(Value::Null)];
    (any::<bool>(), status, headers, random::text()).prop_map(|(enable, status, headers, content)| {
        json!({"mockEnable": enable, "statusCode": status, "headers": headers, "content": content})
    })
}

fn runs() -> impl Strategy<Value = Run> {
    random::run(NAMES, random::configuration(configs()), Just(Reply::None))
}

fn is_as_configured(seen: &Seen, config: &Map<String, Value>) -> bool {
    let Some(answer) = &seen.answer else { return true };
    let given = |key: &str| config.get(key).filter(|value| !value.is_null());
    if given("mockEnable") != Some(&Value::Bool(true)) {
        let added = [&seen.sent[..], &[("hello".to_owned(), b"world".to_vec())]].concat();
        return seen.upstream.as_ref().is_some_and(|upstream| upstream.headers == added);
    }
    let status = given("statusCode").and_then(Value::as_f64).unwrap_or(200.0);
    let content = match answer.status() {
        204 | 304 => "", // which have none
        _ => given("content").and_then(Value::as_str).unwrap_or("hello world"),
    };
    let mut headers = given("headers").and_then(Value::as_object).into_iter().flatten();
    seen.upstream.is_none()
        && f64::from(answer.status()) == status
        && answer.body == content.as_bytes()
        // The gateway itself takes a type away that has no body.
        && headers.all(|(name, value)| {
            let is_there = value.as_str().is_none_or(|value| answer.header(name) == [value.as_bytes()]);
            is_there || (content.is_empty() && name == "Content-Type")
        })
}

fn answers_as_configured(seen: &Seen) {
    assert!(!seen.called, "{seen:?}");
    let is_configured = seen.configs().iter().any(|config| is_as_configured(seen, config));
    assert!(is_configured || (seen.may_be_left_alone() && seen.is_untouched()), "{seen:?}");
}

proptest! {
    #![proptest_config(random::cases(2000))]

    #[test]
    fn whatever_comes_it_answers_as_configured(run in runs()) {
        random::check("mock-response", &json!({}), &run, answers_as_configured);
    }
}

#[test]
fn its_memory_does_not_grow() {
    random::check_memory("mock-response", &json!({}), runs(), answers_as_configured);
}
