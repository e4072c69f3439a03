// SPDX-License-Identifier: Apache-2.0
//! redis-demo in the real Envoy, with the real Valkey and all that can befall it.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

use std::io::Write;
use std::thread;

use serde_json::{Value, json};
use testkit::envoy::Refused;
use testkit::{Address, Envoy, Gateway, Protocol, Valkey, http, module, tcp};

const PLUGIN: &str = env!("CARGO_PKG_NAME");

const CLUSTER: &str = "outbound|80||redis.static";

fn start(config: &Value, redis: Option<Address>, workers: u32) -> Result<Envoy, Refused> {
    let module = module::plugin(PLUGIN, Gateway::Envoy).unwrap();
    let envoy = Envoy::builder().module(PLUGIN, module).config(config).concurrency(workers);
    match redis {
        Some(address) => envoy.cluster(CLUSTER, Protocol::RedisTcp, address).start(),
        None => envoy.start(),
    }
}

fn config(qpm: u32) -> Value {
    json!({"serviceName": "redis.static", "qpm": qpm})
}

fn envoy(config: &Value, valkey: &Valkey) -> Envoy {
    start(config, Some(valkey.address()), 1).unwrap()
}

fn get(envoy: &Envoy) -> http::Reply {
    http::get(envoy.url("/get")).unwrap()
}

fn text(reply: &http::Reply, header: &str) -> Option<String> {
    let values = reply.header(header);
    assert!(values.len() <= 1, "{header} {} times", values.len());
    values.first().map(|value| String::from_utf8(value.to_vec()).unwrap())
}

/// Sends requests, again if a minute ended among them, and gives the replies with the minute that they say.
fn in_one_minute(valkey: &Valkey, count: usize, send: impl Fn() -> http::Reply) -> (Vec<http::Reply>, String) {
    loop {
        valkey.ask("FLUSHALL").unwrap();
        let replies: Vec<_> = (0..count).map(|_| send()).collect();
        let minutes: Vec<_> = replies.iter().map(|reply| text(reply, "timestamp").unwrap()).collect();
        if minutes.iter().all(|minute| *minute == minutes[0]) {
            return (replies, minutes[0].clone());
        }
    }
}

fn assert_passed_unlimited(reply: &http::Reply) {
    assert_eq!((reply.status, text(reply, "calltimeleft")), (200, None));
}

#[test]
fn allowed_then_denied() {
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(&config(5), &valkey);
    let (replies, minute) = in_one_minute(&valkey, 7, || get(&envoy));
    for (reply, left) in replies.iter().zip(["4", "3", "2", "1", "0"]) {
        assert_eq!((reply.status, text(reply, "calltimeleft").as_deref()), (200, Some(left)));
    }
    for reply in &replies[5..] {
        assert_eq!((reply.status, reply.text()), (429, "Too many requests\n"));
        assert_eq!(text(reply, "calltimeleft").as_deref(), Some("0"));
    }
    assert_eq!(minute.parse::<u64>().unwrap() % 60, 0);
}

#[test]
fn the_key_is_the_minute_and_expires_within_it() {
    let valkey = Valkey::start(&[]).unwrap();
    let mut config = config(5);
    for (prefix, key_prefix) in [("", Value::Null), ("limit:", json!("limit:"))] {
        config["keyPrefix"] = key_prefix;
        let envoy = envoy(&config, &valkey);
        let (_, minute) = in_one_minute(&valkey, 3, || get(&envoy));
        let replies = valkey.ask(&format!("GET {prefix}{minute}\r\nTTL {prefix}{minute}\r\nDBSIZE")).unwrap();
        let replies: Vec<_> = replies.split("\r\n").collect();
        assert_eq!((replies[1], replies[3]), ("3", ":1"));
        let seconds: i64 = replies[2].trim_start_matches(':').parse().unwrap();
        assert!((1..=60).contains(&seconds), "{seconds}");
    }
}

#[test]
fn every_request_of_many_connections_is_counted_once() {
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = start(&config(1_000_000), Some(valkey.address()), 2).unwrap();
    let send = || (0..125).for_each(|_| assert_eq!(get(&envoy).status, 200));
    thread::scope(|scope| (0..16).for_each(|_| drop(scope.spawn(send))));
    let keys = valkey.ask("KEYS *").unwrap();
    let count = |key: &str| valkey.ask(&format!("GET {key}")).unwrap().split("\r\n").nth(1).unwrap().parse::<u64>();
    let counts = keys.split("\r\n").filter(|line| line.parse::<u64>().is_ok()).map(|key| count(key).unwrap());
    assert_eq!(counts.sum::<u64>(), 2_000);
}

#[test]
fn user_password_and_database_are_used() {
    let acl = ["--requirepass", "root", "--user", "limiter", "on", ">secret", "~*", "+@all"];
    let valkey = Valkey::start(&acl).unwrap();
    for (username, password) in [(None, "root"), (Some("limiter"), "secret")] {
        let mut config = config(5);
        config["username"] = json!(username);
        config["password"] = json!(password);
        config["database"] = json!(3);
        assert_eq!(text(&get(&envoy(&config, &valkey)), "calltimeleft").as_deref(), Some("4"));
        let replies = valkey.ask("AUTH root\r\nDBSIZE\r\nSELECT 3\r\nDBSIZE\r\nFLUSHALL").unwrap();
        assert_eq!(replies, "+OK\r\n:0\r\n+OK\r\n:1\r\n+OK\r\n");
    }
}

#[test]
fn a_rule_may_be_just_another_limit() {
    let valkey = Valkey::start(&[]).unwrap();
    let mut config = config(5);
    config["_rules_"] = json!([
        {"_match_domain_": ["strict.example.com"], "qpm": 1, "keyPrefix": "strict:"},
        {"_match_route_": ["generous"], "qpm": 100, "keyPrefix": "generous:"},
    ]);
    let envoy = envoy(&config, &valkey);
    let strict = || http::request("GET", envoy.url("/get")).header("host", "strict.example.com").send().unwrap();
    let (replies, _) = in_one_minute(&valkey, 2, strict);
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 429]);
    let generous = http::get(envoy.url("/generous/get")).unwrap();
    assert_eq!(text(&generous, "calltimeleft").as_deref(), Some("99"));
    assert_eq!(text(&get(&envoy), "calltimeleft").as_deref(), Some("4"));
}

#[test]
fn dispatch_refused_an_unknown_cluster_passes() {
    let envoy = start(&config(1), None, 1).unwrap();
    assert_passed_unlimited(&get(&envoy));
    assert!(envoy.log().contains("redis: "), "{}", envoy.log());
}

#[test]
fn backend_down_passes_until_it_is_back() {
    let mut valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(&config(1), &valkey);
    valkey.stop();
    (0..3).for_each(|_| assert_passed_unlimited(&get(&envoy)));
    let lines = envoy.log().matches("redis: ").count();
    assert_eq!(lines, 3, "one line a request: {}", envoy.log());
    valkey.restart().unwrap();
    let (replies, _) = in_one_minute(&valkey, 2, || get(&envoy));
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 429]);
}

#[test]
fn backend_slower_than_the_timeout_passes_until_it_answers() {
    let valkey = Valkey::start(&[]).unwrap();
    let mut config = config(1);
    config["timeout"] = json!(50);
    let paused = envoy(&config, &valkey);
    valkey.pause().unwrap();
    assert_passed_unlimited(&get(&paused));
    valkey.resume().unwrap();
    // The limit itself is tested without a timeout that a busy machine could miss.
    config["timeout"] = json!(60_000);
    let resumed = envoy(&config, &valkey);
    let (replies, _) = in_one_minute(&valkey, 2, || get(&resumed));
    assert_eq!(replies.iter().map(|reply| reply.status).collect::<Vec<_>>(), [200, 429]);
}

#[test]
fn a_refusing_backend_passes_and_no_secret_is_logged() {
    let valkey = Valkey::start(&["--requirepass", "right"]).unwrap();
    for (password, said) in [(None, "NOAUTH"), (Some("wr0ng"), "WRONGPASS")] {
        let mut config = config(1);
        config["password"] = json!(password);
        let envoy = envoy(&config, &valkey);
        assert_passed_unlimited(&get(&envoy));
        assert!(envoy.log().contains(said) && !envoy.log().contains("wr0ng"), "{}", envoy.log());
    }
    // An error of the command itself: Redis is out of memory.
    let valkey = Valkey::start(&["--maxmemory", "1"]).unwrap();
    assert_passed_unlimited(&get(&envoy(&config(1), &valkey)));
}

#[test]
fn backend_garbage_passes() {
    for garbage in [b"".as_slice(), b"\x00\xff\r\n", b":1\r\n:2\r\n", b"$5\r\nhello\r\n", b"*1\r\n", b"*-7\r\n", b":1"]
    {
        let address = tcp::answering(garbage).unwrap();
        let envoy = start(&config(1), Some(address), 1).unwrap();
        (0..2).for_each(|_| assert_passed_unlimited(&get(&envoy)));
    }
}

#[test]
fn client_leaves_while_waiting() {
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(&config(1_000_000), &valkey);
    assert_eq!(get(&envoy).status, 200);
    let leave = |count: u64| {
        valkey.pause().unwrap();
        for _ in 0..count {
            let mut client = std::net::TcpStream::connect(("127.0.0.1", envoy.port())).unwrap();
            client.write_all(b"GET /get HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
        }
        valkey.resume().unwrap();
        // Once this one is answered, the replies to those before it have come, or their calls have ended.
        assert_eq!(text(&get(&envoy), "calltimeleft").map(|_| ()), Some(()));
    };
    leave(1_000);
    let memory = envoy.memory_bytes().unwrap();
    leave(1_000);
    let grown = envoy.memory_bytes().unwrap().saturating_sub(memory);
    assert!(grown < 8 << 20, "{grown} bytes more after as many clients again");
    let calls = envoy.stat("cluster.outbound|80||redis.static.upstream_rq_total").unwrap();
    assert!(calls > Some(2_000), "only {calls:?} calls were under way");
    assert!(!envoy.log().contains("panicked"), "{}", envoy.log());
}

#[test]
fn strange_requests_are_served() {
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(&config(1_000), &valkey);
    for request in [
        http::request("GET", envoy.url("/get")).header("x-any", (0x80..=0xff).collect::<Vec<u8>>()),
        http::request("POST", envoy.url("/post")).header("content-type", "application/json"),
        http::request("POST", envoy.url("/post")).chunked("chunk".repeat(10_000)),
    ] {
        let reply = request.send().unwrap();
        assert_eq!((reply.status, text(&reply, "calltimeleft").is_some()), (200, true));
    }
}

#[test]
fn a_bad_configuration_is_refused_in_one_line() {
    let with = |key: &str, value: Value| {
        let mut config = config(1);
        config[key] = value;
        config
    };
    let keys = "serviceName, servicePort, username, password, database, timeout, qpm, keyPrefix";
    for (config, reason) in [
        (json!({}), "serviceName: is required"),
        (json!({"serviceName": "redis.static"}), "qpm: is required"),
        (with("qpm", json!(0)), "qpm: must be a whole number, 1 or more, got 0"),
        (with("qpm", json!("10")), "qpm: must be a whole number, 1 or more, got a string"),
        (with("servicePort", json!(0)), "servicePort: must be a whole number from 1 to 65535, got 0"),
        (with("password", json!(12345)), "password: must be a string, got a number"),
        (with("timeout", json!(0)), "timeout: must be a whole number, 1 or more, got 0"),
        (with("pqm", json!(1)), &format!("pqm: unknown key; accepted: {keys}")),
        (
            with("_rules_", json!([{"_match_route_": ["a"], "qpm": -1}])),
            "_rules_[0].qpm: must be a whole number, 1 or more, got -1",
        ),
    ] {
        let refused = start(&config, None, 1).unwrap_err();
        let expected = format!("[{PLUGIN}] configuration refused: {reason}");
        assert_eq!(refused.plugin_said(), Some(expected.as_str()), "{config}");
    }
}
