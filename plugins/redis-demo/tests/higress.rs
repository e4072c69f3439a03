// SPDX-License-Identifier: Apache-2.0
//! redis-demo as built for Higress, and linked into the test, with a Redis that the test plays.
#![expect(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "a test")]

use std::time::Duration;

use serde_json::{Value, json};
use testkit::Valkey;
use testkit::host::{Higress, Message, Plugin, Request};

testkit::both!(
    allowed,
    denied,
    the_minute_passes,
    backend_down,
    backend_garbage,
    dispatch_refused,
    client_leaves_while_waiting,
    any_byte_in_a_header,
    no_body_with_a_content_type,
    a_body_waits_with_its_headers,
    no_configuration,
    configuration_errors,
    a_rule_of_each_category,
    replies_in_reverse_order,
    no_rule_and_no_global_configuration,
    init_says_how_to_reach_redis,
    init_is_repeated_until_the_cluster_is_known,
    init_is_not_repeated_for_an_unchanged_configuration,
    init_is_repeated_for_a_changed_configuration,
    init_is_repeated_once_after_noauth,
    a_real_redis,
    a_real_redis_with_a_password,
    a_real_redis_that_goes_and_comes_back,
);

const REDIS: &str = "outbound|80||redis.static";

fn config(qpm: u32) -> Value {
    json!({"serviceName": "redis.static", "qpm": qpm})
}

fn start(plugin: &Plugin, config: impl ToString) -> Higress {
    plugin.gateway().cluster(REDIS).start(config.to_string()).unwrap()
}

/// The values of the limiter's headers.
fn limit(answer: &Message) -> [Vec<&[u8]>; 2] {
    [answer.header("timestamp"), answer.header("calltimeleft")]
}

/// The request went on as if the plugin were not there.
fn assert_passed_unlimited(request: &Request) {
    let answer = request.answered_by_upstream();
    assert_eq!((answer.status(), limit(&answer)), (200, [vec![], vec![]]));
}

fn assert_counted(request: &Request, reply: &str, left: &str) {
    request.redis_call().reply(reply);
    assert_eq!(request.answered_by_upstream().header("calltimeleft"), [left.as_bytes()]);
}

fn allowed(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let request = higress.request("GET", "/path").header("x-any", "value").send();
    assert!(request.is_waiting());
    assert_eq!(request.upstream(), None);

    let call = request.redis_call();
    assert_eq!(call.cluster, REDIS);
    let [name, script, count, key, expiry] = call.command.as_slice() else { panic!("{}", call.text()) };
    assert_eq!((name.as_slice(), count.as_slice(), expiry.as_slice()), (&b"EVAL"[..], &b"1"[..], &b"60"[..]));
    assert!(String::from_utf8_lossy(script).contains("INCR"));
    assert_eq!(key, b"1800000000");
    call.reply(":2\r\n");

    assert!(!request.is_waiting());
    let upstream = request.upstream().unwrap();
    assert_eq!((upstream.header(":path"), upstream.header("x-any")), (vec![&b"/path"[..]], vec![&b"value"[..]]));
    let answer = request.answered_by_upstream();
    assert_eq!((answer.status(), answer.text().as_str()), (200, "from upstream"));
    assert_eq!(limit(&answer), [vec![&b"1800000000"[..]], vec![&b"3"[..]]]);
    assert!(request.is_over());
}

fn denied(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let request = higress.get("/");
    request.redis_call().reply(":6\r\n");
    let answer = request.answer();
    assert_eq!((answer.status(), answer.text().as_str()), (429, "Too many requests\n"));
    assert_eq!(limit(&answer), [vec![&b"1800000000"[..]], vec![&b"0"[..]]]);
    assert_eq!(request.upstream(), None);
}

fn the_minute_passes(plugin: Plugin) {
    let higress = start(&plugin, json!({"serviceName": "redis.static", "qpm": 5, "keyPrefix": "limit:"}));
    for (seconds, key) in [(0, "limit:1800000000"), (59, "limit:1800000000"), (1, "limit:1800000060")] {
        higress.pass_time(Duration::from_secs(seconds));
        let request = higress.get("/");
        assert_eq!(request.redis_call().command[3], key.as_bytes());
        assert_counted(&request, ":1\r\n", "4");
    }
}

fn backend_down(plugin: Plugin) {
    let higress = start(&plugin, config(1));
    for _ in 0..2 {
        let request = higress.get("/");
        request.redis_call().fail();
        assert_passed_unlimited(&request);
    }
    assert_eq!(higress.log().matches("[error] wasm log redis-demo: [redis-demo] redis: ").count(), 2);
    assert_counted(&higress.get("/"), ":1\r\n", "0");
}

fn backend_garbage(plugin: Plugin) {
    let higress = start(&plugin, config(1));
    let deep = "*1\r\n".repeat(100_000);
    for garbage in [
        "",
        "\0",
        "PONG",
        ":",
        ":1",
        ":x\r\n",
        ":-1\r\n",
        "$2\r\nx",
        "*2\r\n:1\r\n",
        "*1\r\n:1\r\n",
        "$-1\r\n",
        "-ERR no\r\n",
        "+OK\r\n",
        ":1\r\n:2\r\n",
        ":99999999999999999999\r\n",
        "*-7\r\n",
        "$99999999999\r\n",
        &deep,
    ] {
        let request = higress.get("/");
        request.redis_call().reply(garbage);
        assert_passed_unlimited(&request);
    }
    assert_counted(&higress.get("/"), ":1\r\n", "0");
}

fn dispatch_refused(plugin: Plugin) {
    for gateway in [plugin.gateway(), plugin.gateway().cluster_without_hosts(REDIS)] {
        let higress = gateway.start(config(1)).unwrap();
        let request = higress.get("/");
        assert!(!request.is_waiting());
        assert_passed_unlimited(&request);
        assert!(higress.log().contains("[error] wasm log redis-demo: [redis-demo] redis: "), "{}", higress.log());
    }
}

fn client_leaves_while_waiting(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let gone = higress.get("/");
    let late = gone.redis_call();
    gone.client_leaves();
    assert!(gone.is_over());
    late.reply(":1\r\n");
    assert_eq!(gone.upstream(), None);

    // Also while another request waits: the late reply is not taken for its own.
    let (gone, other) = (higress.get("/"), higress.get("/"));
    let late = gone.redis_call();
    gone.client_leaves();
    late.reply(":5\r\n");
    assert!(other.is_waiting());
    assert_counted(&other, ":2\r\n", "3");

    // And when the gateway stops.
    let stopping = start(&plugin, config(5));
    let _waiting = [stopping.get("/"), stopping.get("/")];

    // And while it waits for the upstream.
    let gone = higress.get("/");
    gone.redis_call().reply(":3\r\n");
    gone.client_leaves();
    assert_eq!(higress.calls_under_way(), 0);
    assert_counted(&higress.get("/"), ":4\r\n", "1");
    assert_eq!(higress.log(), "");
}

fn any_byte_in_a_header(plugin: Plugin) {
    let high: Vec<u8> = (0x80..=0xff).collect();
    let mut config = config(5);
    config["_rules_"] = json!([{"_match_domain_": ["a.example.com"], "qpm": 1}]);
    let higress = start(&plugin, config);
    let request = higress.request("GET", "/").header("x-any", &high).property("route_name", &high);
    let request = request.property("cluster_name", &high);
    let request = request.authority("").header(":authority", &high).header("x-mse-consumer", &high).send();
    request.redis_call().reply(":1\r\n");
    assert_eq!(request.upstream().unwrap().header("x-any"), [&high]);
    assert_eq!(request.answered_by_upstream().header("calltimeleft"), [b"4"]);
}

fn no_body_with_a_content_type(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    assert_counted(&higress.request("POST", "/").header("content-type", "application/json").send(), ":1\r\n", "4");
}

fn a_body_waits_with_its_headers(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let request = higress.request("POST", "/").header("content-length", "10").begin();
    request.send_body("12345", false);
    assert_eq!(request.upstream(), None);
    request.redis_call().reply(":1\r\n");
    assert_eq!(request.upstream().unwrap().text(), "12345");
    request.send_body("67890", true);
    assert_eq!(request.upstream().unwrap().text(), "1234567890");
    assert_eq!(request.answered_by_upstream().header("calltimeleft"), [b"4"]);
}

fn no_configuration(plugin: Plugin) {
    for nothing in ["", "{}"] {
        let refused = plugin.start(nothing).err().unwrap();
        let expected = "[redis-demo] configuration refused: serviceName: is required";
        assert_eq!(refused.plugin_said(), Some(expected), "{}", refused.log);
    }
}

fn configuration_errors(plugin: Plugin) {
    let with = |key: &str, value: Value| {
        let mut config = config(1);
        config[key] = value;
        config.to_string()
    };
    for (config, reason) in [
        ("{".to_owned(), ""),
        ("[]".to_owned(), ""),
        (with("qpm", json!(0)), "qpm: "),
        (with("qpm", json!("10")), "qpm: "),
        (with("serviceName", json!("")), "serviceName: "),
        (with("servicePort", json!(65536)), "servicePort: "),
        (with("timeout", json!(-1)), "timeout: "),
        (with("database", json!(1.5)), "database: "),
        (with("password", json!(12345)), "password: "),
        (with("pqm", json!(1)), "pqm: unknown key"),
        (with("_rules_", json!([{"_match_route_": ["a"], "qpm": 0}])), "_rules_[0].qpm: "),
        (with("_rules_", json!([{"qpm": 1}])), "_rules_[0]: has no condition"),
    ] {
        let refused = plugin.start(&config).err().unwrap();
        let said = refused.plugin_said().unwrap_or_default();
        assert!(said.starts_with(&format!("[redis-demo] configuration refused: {reason}")), "{config}: {said}");
        assert!(!said.contains('\n'), "{said}");
    }
}

fn a_rule_of_each_category(plugin: Plugin) {
    let mut config = config(100);
    config["_rules_"] = json!([
        {"_match_route_": ["both"], "_match_service_": ["svc.dns:8080"], "qpm": 1},
        {"_match_route_": ["route"], "qpm": 2},
        {"_match_domain_": ["*.example.org"], "qpm": 3},
        {"_match_service_": ["svc.dns"], "qpm": 4},
        {"_match_route_prefix_": ["prefix-"], "qpm": 5},
    ]);
    let higress = start(&plugin, config);
    let request = |route: &str, authority: &str, cluster: &str| {
        higress.request("GET", "/").route(route).authority(authority).upstream(cluster).send()
    };
    for (route, authority, cluster, left) in [
        ("both", "a", "outbound|8080||svc.dns", "0"),
        ("both", "a", "outbound|80||svc.dns", "3"),
        ("route", "a.example.org", "outbound|80||svc.dns", "1"),
        ("other", "a.example.org:8080", "outbound|80||svc.dns", "2"),
        ("other", "example.org", "outbound|80|v1|svc.dns", "3"),
        ("prefix-1", "a", "b", "4"),
        ("other", "a", "b", "99"),
    ] {
        assert_counted(&request(route, authority, cluster), ":1\r\n", left);
    }
}

fn no_rule_and_no_global_configuration(plugin: Plugin) {
    let rule = json!({"_match_route_": ["limited"], "serviceName": "redis.static", "qpm": 1});
    let higress = start(&plugin, json!({"_rules_": [rule]}));
    assert_passed_unlimited(&higress.get("/"));
    assert_counted(&higress.request("GET", "/").route("limited").send(), ":1\r\n", "0");
}

fn replies_in_reverse_order(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let requests = ["/0", "/1", "/2"].map(|path| higress.get(path));
    for (index, request) in requests.iter().enumerate().rev() {
        request.redis_call().reply(format!(":{}\r\n", index + 1));
        let waiting: Vec<_> = requests.iter().map(Request::is_waiting).collect();
        assert_eq!(waiting, [0 < index, 1 < index, false], "after the reply to {index}");
    }
    for (index, request) in requests.iter().enumerate() {
        assert_eq!(request.upstream().unwrap().header(":path"), [format!("/{index}").as_bytes()]);
        assert_eq!(request.answered_by_upstream().header("calltimeleft"), [(4 - index).to_string().as_bytes()]);
    }
}

fn init_says_how_to_reach_redis(plugin: Plugin) {
    let all = json!({"serviceName": "redis.static", "qpm": 1, "username": "user", "password": "secret", "database": 3,
        "timeout": 250});
    let elsewhere = json!({"serviceName": "redis.dns", "qpm": 1});
    for (config, service, username, password, timeout) in [
        (config(1), "outbound|80||redis.static?buffer_flush_timeout=3&max_buffer_size_before_flush=1024", "", "", 1000),
        (
            all,
            "outbound|80||redis.static?db=3&buffer_flush_timeout=3&max_buffer_size_before_flush=1024",
            "user",
            "secret",
            250,
        ),
        (elsewhere, "outbound|6379||redis.dns?buffer_flush_timeout=3&max_buffer_size_before_flush=1024", "", "", 1000),
    ] {
        let higress = plugin.gateway().cluster(REDIS).cluster("outbound|6379||redis.dns").start(config).unwrap();
        let inits = higress.redis_inits();
        assert_eq!(inits.len(), 1);
        assert_eq!((inits[0].service.as_str(), inits[0].accepted), (service, true));
        assert_eq!((inits[0].username.as_str(), inits[0].password.as_str()), (username, password));
        assert_eq!(inits[0].timeout, timeout);
        assert_counted(&higress.get("/"), ":1\r\n", "0");
        assert_eq!(higress.redis_inits().len(), 1);
    }
}

fn init_is_repeated_until_the_cluster_is_known(plugin: Plugin) {
    let higress = plugin.start(config(5)).unwrap();
    assert_eq!(higress.redis_inits().len(), 1);
    assert_passed_unlimited(&higress.get("/"));
    assert_eq!(higress.redis_inits().len(), 2);
    higress.add_cluster(REDIS);
    for _ in 0..2 {
        assert_counted(&higress.get("/"), ":1\r\n", "4");
    }
    let accepted: Vec<_> = higress.redis_inits().iter().map(|init| init.accepted).collect();
    assert_eq!(accepted, [false, false, true]);
}

fn init_is_not_repeated_for_an_unchanged_configuration(plugin: Plugin) {
    let higress = start(&plugin, config(5));
    let waiting = higress.get("/");
    higress.configure(config(7)).unwrap();
    assert_eq!(higress.redis_inits().len(), 1);
    assert_counted(&higress.get("/"), ":1\r\n", "6");
    assert_counted(&waiting, ":2\r\n", "3");
}

fn init_is_repeated_for_a_changed_configuration(plugin: Plugin) {
    let mut with_password = config(5);
    let higress = start(&plugin, &with_password);
    let waiting = higress.get("/");
    with_password["password"] = json!("secret");
    higress.configure(&with_password).unwrap();
    assert_eq!(higress.redis_inits().len(), 2);
    // Its connection has ended with the old set-up.
    assert_passed_unlimited(&waiting);
    assert_counted(&higress.get("/"), ":1\r\n", "4");
}

fn init_is_repeated_once_after_noauth(plugin: Plugin) {
    const NOAUTH: &str = "-NOAUTH Authentication required.\r\n";
    let higress = start(&plugin, config(5));
    let request = higress.get("/");
    request.redis_call().reply(NOAUTH);
    assert_eq!(higress.redis_inits().len(), 2);
    assert!(request.is_waiting());
    assert_counted(&request, ":1\r\n", "4");

    let request = higress.get("/");
    request.redis_call().reply(NOAUTH);
    request.redis_call().reply(NOAUTH);
    assert_eq!((request.calls_under_way(), higress.redis_inits().len()), (0, 3));
    assert_passed_unlimited(&request);
    assert!(higress.log().contains("NOAUTH"));
}

fn a_real_redis(plugin: Plugin) {
    let valkey = Valkey::start(&[]).unwrap();
    let config = json!({"serviceName": "redis.static", "qpm": 3, "database": 3, "keyPrefix": "limit:"});
    let higress = plugin.gateway().redis(REDIS, &valkey).start(config).unwrap();
    for left in ["2", "1", "0"] {
        assert_eq!(higress.get("/").answered_by_upstream().header("calltimeleft"), [left.as_bytes()]);
    }
    assert_eq!(higress.get("/").answer().status(), 429);
    assert_eq!(valkey.ask("SELECT 3\r\nGET limit:1800000000").unwrap(), "+OK\r\n$1\r\n4\r\n");
    higress.pass_time(Duration::from_secs(60));
    assert_eq!(higress.get("/").answered_by_upstream().header("calltimeleft"), [b"2"]);
}

fn a_real_redis_with_a_password(plugin: Plugin) {
    let valkey = Valkey::start(&["--requirepass", "right"]).unwrap();
    for (password, left) in [("right", Some("4")), ("wr0ng", None)] {
        let config = json!({"serviceName": "redis.static", "qpm": 5, "password": password});
        let higress = plugin.gateway().redis(REDIS, &valkey).start(config).unwrap();
        let answer = higress.get("/").answered_by_upstream();
        assert_eq!(answer.header("calltimeleft").first().copied(), left.map(str::as_bytes));
        assert_eq!(higress.log().contains("NOAUTH"), left.is_none());
        assert!(!higress.log().contains(password));
    }
}

fn a_real_redis_that_goes_and_comes_back(plugin: Plugin) {
    let mut valkey = Valkey::start(&[]).unwrap();
    let higress = plugin.gateway().redis(REDIS, &valkey).start(config(5)).unwrap();
    assert_eq!(higress.get("/").answered_by_upstream().header("calltimeleft"), [b"4"]);
    valkey.stop();
    assert_passed_unlimited(&higress.get("/"));
    valkey.restart().unwrap();
    assert_eq!(higress.get("/").answered_by_upstream().header("calltimeleft"), [b"4"]);
}
