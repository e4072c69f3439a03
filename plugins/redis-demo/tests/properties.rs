// SPDX-License-Identifier: Apache-2.0
//! redis-demo as built for Higress, whatever comes: a request passes, unless Redis has counted more than allowed.
#![expect(clippy::indexing_slicing, reason = "a test")]

use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::host::random::{self, Reply, Run, Seen};

const NAMES: &[&str] = &["timestamp", "calltimeleft", "x-mse-consumer"];

fn good() -> Value {
    json!({"serviceName": "one.static", "qpm": 5})
}

fn configs() -> impl Strategy<Value = Value> {
    let services = prop_oneof![
        3 => Just("one.static".to_owned()),
        1 => Just("two.dns".to_owned()),
        1 => Just("without-hosts.static".to_owned()),
        1 => Just("unknown.static".to_owned()),
        1 => random::text(),
    ];
    let limits = prop_oneof![6 => (1..10_u32).prop_map(Value::from), 1 => Just(json!(7.0)), 1 => any::<u32>().prop_map(Value::from)];
    let options = prop_oneof![
        4 => Just(json!({})),
        1 => random::text().prop_map(|text| json!({"username": text, "password": text, "keyPrefix": text})),
        1 => any::<u32>().prop_map(|number| json!({"database": number, "timeout": number, "servicePort": 6379})),
    ];
    (services, limits, options).prop_map(|(service, qpm, mut config)| {
        config["serviceName"] = json!(service);
        config["qpm"] = qpm;
        config
    })
}

fn runs() -> impl Strategy<Value = Run> {
    random::run(NAMES, random::configuration(configs()), random::redis_reply(6))
}

/// The integer that Redis said, as one or in the form in which it stores one.
fn count(reply: &Reply) -> Option<u64> {
    let Reply::Redis(reply) = reply else { return None };
    let text = str::from_utf8(reply).ok()?.strip_suffix("\r\n")?;
    let digits =
        text.strip_prefix(':').or_else(|| text.strip_prefix('$')?.split_once("\r\n").map(|(_, digits)| digits));
    digits?.parse().ok()
}

fn limits(seen: &Seen) {
    let Some(answer) = &seen.answer else { return };
    if !seen.called {
        assert!(seen.may_be_left_alone() && seen.is_untouched(), "{seen:?}");
        return;
    }
    let count = seen.replies.last().and_then(count);
    let configs = seen.configs();
    let mut limits = configs.iter().filter_map(|config| config.get("qpm")?.as_f64());
    match &seen.upstream {
        None => {
            assert_eq!((answer.status(), answer.text().as_str()), (429, "Too many requests\n"), "{seen:?}");
            assert!(count.is_some_and(|count| limits.any(|limit| count as f64 > limit)), "{seen:?}");
        }
        Some(upstream) => {
            assert_eq!(upstream.headers, seen.sent);
            assert!(count.is_none_or(|count| limits.any(|limit| count as f64 <= limit)), "{seen:?}");
        }
    }
}

proptest! {
    #![proptest_config(random::cases(2000))]

    #[test]
    fn whatever_comes_it_limits_by_the_count(run in runs()) {
        random::check("redis-demo", &good(), &run, limits);
    }
}

#[test]
fn its_memory_does_not_grow() {
    random::check_memory("redis-demo", &good(), runs(), limits);
}
