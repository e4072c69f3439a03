// SPDX-License-Identifier: Apache-2.0
//! What comes by chance: mostly things that mean something to a plugin, so that they get far, and any others.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, Value, json};

use super::super::{Headers, Message};
use super::{Action, Reply, Run, status};

/// A request as it arrives.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The headers, in any order and with repeats.
    pub headers: Headers,
    /// The parts of the body that come with them.
    pub body: Vec<Vec<u8>>,
    /// The trailers.
    pub trailers: Headers,
    /// Whether more of the body is to come.
    pub open: bool,
    /// The name of the route.
    pub route: String,
    /// The cluster that the route leads to.
    pub cluster: String,
}

/// What rules are made of, and what requests are made of that they are to match.
const NAMES: &[&str] =
    &["route", "prefix-", "prefix-1", "svc.dns", "svc.dns:80", "a.example.com", "*.example.com", "*", ""];

/// The conditions of a rule.
const CONDITIONS: &[&str] =
    &["_match_route_", "_match_domain_", "_match_service_", "_match_route_prefix_", "_match_consumer_"];

/// Any of these.
pub fn pick<T: Clone + std::fmt::Debug + 'static>(values: &'static [T]) -> impl Strategy<Value = T> {
    select(values)
}

/// Any short text, often with what has a meaning somewhere.
pub fn text() -> impl Strategy<Value = String> {
    vec(prop_oneof![4 => any::<char>(), 1 => pick(&['\n', '\r', '\0', '|', ':', '*', '.', '#', '0'])], 0..12)
        .prop_map(|text| text.into_iter().collect())
}

/// Any bytes: few, or very many of the same.
pub fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        20 => vec(any::<u8>(), 0..24),
        1 => (any::<u8>(), 0..20_000_usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}

/// Any JSON, nested at times.
pub fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1..3_i32).prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
        pick(NAMES).prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |value| {
        prop_oneof![
            vec(value.clone(), 0..4).prop_map(Value::from),
            vec((key(), value), 0..4).prop_map(|entries| Value::from(entries.into_iter().collect::<Map<_, _>>())),
        ]
    })
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![pick(CONDITIONS).prop_map(str::to_owned), Just("_rules_".to_owned()), text()]
}

/// A configuration as text, made of `valid` ones for the plugin: alone, with rules of all shapes, with mistakes.
pub fn configuration(valid: impl Strategy<Value = Value> + 'static) -> BoxedStrategy<String> {
    let valid = valid.boxed();
    let condition = || {
        let name = || prop_oneof![9 => pick(NAMES).prop_map(Value::from), 1 => json()];
        let names = prop_oneof![4 => vec(name(), 0..3).prop_map(Value::from), 1 => name()];
        (pick(CONDITIONS).prop_map(str::to_owned), names)
    };
    let rule =
        (mutated(valid.clone()), vec(condition(), 0..3)).prop_map(|(rule, conditions)| with(rule, conditions)).boxed();
    let rules = prop_oneof![9 => vec(rule.clone(), 0..4).prop_map(Value::from), 1 => rule, 1 => json()];
    let whole = prop_oneof![2 => mutated(valid), 1 => Just(json!({}))];
    let ruled = (whole.clone(), rules).prop_map(|(whole, rules)| with(whole, vec![("_rules_".to_owned(), rules)]));
    let any = prop_oneof![10 => whole, 10 => ruled, 1 => json()].prop_map(|config| config.to_string());
    let cut = (any.clone(), 0..200_usize).prop_map(|(text, at)| text.chars().take(at).collect());
    let deep = pick(&["[", "{\"_rules_\":", "[{\"\":"]).prop_map(|open| open.repeat(3000));
    prop_oneof![90 => any, 5 => cut, 4 => text(), 1 => deep].boxed()
}

/// The same, at times with a key taken away, or with anything in its place.
fn mutated(valid: BoxedStrategy<Value>) -> BoxedStrategy<Value> {
    let mistake = (any::<u8>(), proptest::option::of(json()), proptest::option::weighted(0.2, key()));
    (valid, prop_oneof![8 => Just(Vec::new()), 2 => vec(mistake, 1..3)])
        .prop_map(|(mut value, mistakes)| {
            for (at, becomes, key) in mistakes {
                let Some(object) = value.as_object_mut() else { continue };
                let at = usize::from(at).checked_rem(object.len()).and_then(|at| object.keys().nth(at).cloned());
                match (key.or(at), becomes) {
                    (Some(key), Some(becomes)) => object.insert(key, becomes),
                    (Some(key), None) => object.remove(&key),
                    (None, _) => None,
                };
            }
            value
        })
        .boxed()
}

fn with(mut value: Value, entries: Vec<(String, Value)>) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.extend(entries);
    }
    value
}

fn headers(names: &'static [&'static str]) -> impl Strategy<Value = Headers> {
    let name = prop_oneof![9 => pick(names).prop_map(str::to_owned), 1 => text().prop_map(|name| name.to_lowercase())];
    vec((name, prop_oneof![3 => bytes(), 2 => pick(NAMES).prop_map(|name| name.as_bytes().to_vec())]), 0..5)
}

fn arrival(names: &'static [&'static str]) -> impl Strategy<Value = Arrival> {
    let name = || prop_oneof![4 => pick(NAMES).prop_map(str::to_owned), 1 => text()];
    let authority =
        prop_oneof![8 => name().prop_map(|name| Some(name.into_bytes())), 1 => bytes().prop_map(Some), 1 => Just(None)];
    let cluster = prop_oneof![1 => name(), 3 => name().prop_map(|name| format!("outbound|80||{name}"))];
    let body = vec(bytes(), 0..3);
    let few = prop_oneof![3 => Just(Headers::new()), 1 => headers(names)];
    (headers(names), authority, body, few, any::<bool>(), name(), cluster).prop_map(
        |(mut headers, authority, body, trailers, open, route, cluster)| {
            headers.extend(authority.map(|value| (":authority".to_owned(), value)));
            headers.push((":path".to_owned(), b"/".to_vec()));
            Arrival { headers, body, trailers, open, route, cluster }
        },
    )
}

/// What an HTTP service says; headers that matter have these names.
pub fn http_reply(names: &'static [&'static str]) -> impl Strategy<Value = Reply> {
    let first = prop_oneof![
        12 => prop_oneof![2 => Just(200_u16), 1 => 0..1000_u16].prop_map(status),
        1 => bytes().prop_map(|value| vec![(":status".to_owned(), value)]),
        1 => Just(Headers::new()),
    ];
    let reply = (first, headers(names), bytes(), headers(names)).prop_map(|(first, rest, body, trailers)| {
        Reply::Http(Message { headers: [first, rest].concat(), body, trailers })
    });
    prop_oneof![9 => reply, 1 => Just(Reply::None)]
}

/// What Redis says, or something in its place; integers around `near` come most often.
pub fn redis_reply(near: i64) -> impl Strategy<Value = Reply> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(|number| format!(":{number}\r\n").into_bytes()),
        bytes().prop_map(|text| [format!("${}\r\n", text.len()).as_bytes(), &text, b"\r\n"].concat()),
        bytes().prop_map(|text| [b"+", &text[..], b"\r\n"].concat()),
        bytes().prop_map(|text| [b"-ERR ", &text[..], b"\r\n"].concat()),
        (-2..i64::MAX).prop_map(|length| format!("${length}\r\nx\r\n").into_bytes()),
    ];
    let nested = leaf.prop_recursive(3, 12, 4, |item| {
        let size = proptest::option::weighted(0.1, any::<i64>());
        (vec(item, 0..4), size).prop_map(|(items, size)| {
            [format!("*{}\r\n", size.unwrap_or(items.len() as i64)).into_bytes(), items.concat()].concat()
        })
    });
    let deep = (0..40_000_usize).prop_map(|depth| [b"*1\r\n".repeat(depth), b":1\r\n".to_vec()].concat());
    let noauth = Just(b"-NOAUTH Authentication required.\r\n".to_vec());
    let count = (near.saturating_sub(3)..near.saturating_add(3)).prop_map(|count| format!(":{count}\r\n").into_bytes());
    let reply = prop_oneof![10 => count, 10 => nested, 3 => bytes(), 3 => noauth, 1 => deep];
    prop_oneof![9 => reply.prop_map(Reply::Redis), 1 => Just(Reply::None)]
}

/// A run with such configurations and replies; headers that matter have these names.
pub fn run(
    names: &'static [&'static str],
    configurations: impl Strategy<Value = String> + Clone,
    replies: impl Strategy<Value = Reply>,
) -> impl Strategy<Value = Run> {
    let at = any::<u8>;
    let responses = (200..600_u16, headers(names), bytes()).prop_map(|(code, rest, body)| Message {
        headers: [status(code), rest].concat(),
        body,
        ..Message::default()
    });
    let action = prop_oneof![
        6 => arrival(names).prop_map(Action::Arrive),
        3 => (at(), bytes(), any::<bool>()).prop_map(|(at, part, is_last)| Action::Body(at, part, is_last)),
        6 => (at(), replies).prop_map(|(at, reply)| Action::Reply(at, reply)),
        3 => (at(), responses).prop_map(|(at, response)| Action::Respond(at, response)),
        2 => at().prop_map(Action::Leave),
        1 => at().prop_map(Action::GiveUp),
        1 => configurations.clone().prop_map(Action::Configure),
        1 => any::<u16>().prop_map(Action::Pass),
    ];
    (configurations, vec(action, 1..16))
}
