// SPDX-License-Identifier: Apache-2.0
//! http-call as built for Higress, whatever comes: no token reaches the upstream but that of an answer with 200.

use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::host::random::{self, Reply, Run, Seen};

const NAMES: &[&str] = &["x-token", "authorization", "x-other"];

fn good() -> Value {
    json!({"serviceName": "one.static", "requestPath": "/token", "tokenHeader": "X-Token"})
}

fn configs() -> impl Strategy<Value = Value> {
    let services = prop_oneof![
        3 => Just("one.static".to_owned()),
        1 => Just("two.dns".to_owned()),
        1 => Just("without-hosts.static".to_owned()),
        1 => Just("unknown.static".to_owned()),
        1 => random::text(),
    ];
    let ports = prop_oneof![4 => Just(Value::Null), 1 => Just(json!(6379.0)), 1 => any::<u16>().prop_map(Value::from)];
    let paths = prop_oneof![Just("/token?a=b".to_owned()), random::text()];
    let tokens = random::pick(&["X-Token", "x-token", "Authorization"]);
    let timeouts = prop_oneof![3 => Just(Value::Null), 1 => any::<u32>().prop_map(Value::from)];
    (services, ports, paths, tokens, timeouts).prop_map(|(service, port, path, token, timeout)| {
        json!({"serviceName": service, "servicePort": port, "requestPath": path, "tokenHeader": token, "timeout": timeout})
    })
}

fn runs() -> impl Strategy<Value = Run> {
    random::run(NAMES, random::configuration(configs()), random::http_reply(NAMES))
}

fn guards_its_header(seen: &Seen) {
    if !seen.called {
        assert!(seen.may_be_left_alone() && seen.is_untouched(), "{seen:?}");
        return;
    }
    let token = match seen.replies.as_slice() {
        // Not even sent, or never answered: then the client has not waited for the answer.
        [] => None,
        [Reply::Http(reply)] if reply.status() == 200 => Some(reply),
        _ => {
            assert!(seen.upstream.is_none(), "passed without a 200: {seen:?}");
            let answer = seen.answer.as_ref().map(|answer| (answer.status(), answer.text()));
            assert!(answer.is_none_or(|answer| answer == (500, "http call failed".to_owned())), "{seen:?}");
            return;
        }
    };
    let Some(upstream) = &seen.upstream else {
        assert!(seen.answer.is_none(), "not passed: {seen:?}");
        return;
    };
    let is_guarded =
        |name: &str| match (token.and_then(|reply| reply.header(name).first().copied()), &upstream.header(name)[..]) {
            (None, []) => true,
            (Some(token), [passed]) => token == *passed,
            // Not one that would break the request.
            (Some(token), []) => token.iter().any(u8::is_ascii_control),
            _ => false,
        };
    let configs = seen.configs();
    let mut names = configs.iter().filter_map(|config| config.get("tokenHeader")?.as_str());
    assert!(names.any(is_guarded), "{seen:?}");
}

proptest! {
    #![proptest_config(random::cases(2000))]

    #[test]
    fn whatever_comes_it_guards_its_header(run in runs()) {
        random::check("http-call", &good(), &run, guards_its_header);
    }
}

#[test]
fn its_memory_does_not_grow() {
    random::check_memory("http-call", &good(), runs(), guards_its_header);
}
