// SPDX-License-Identifier: Apache-2.0
//! Every Redis command, by the plugin of `examples/redis.rs`, in the real Envoy in front of the real Valkey.
#![expect(clippy::unwrap_used, reason = "a test")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};
use testkit::{Address, Envoy, Gateway, Protocol, Valkey, http, module};

/// An Envoy with the plugin, whose Redis is at `redis`, and `options` beside its service's name.
fn envoy(redis: Address, options: &Value) -> Envoy {
    let module = module::example("shared", "redis", Gateway::Envoy).unwrap();
    let mut config = json!({"serviceName": "redis.static", "timeout": 60_000});
    config.as_object_mut().unwrap().extend(options.as_object().unwrap().clone());
    let envoy = Envoy::builder().module("redis", module).config(config).upstream(redis.clone());
    envoy.cluster("outbound|80||redis.static", Protocol::RedisTcp, redis).start().unwrap()
}

fn valkey() -> &'static Valkey {
    static VALKEY: OnceLock<Valkey> = OnceLock::new();
    VALKEY.get_or_init(|| Valkey::start(&[]).unwrap())
}

fn shared_envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    ENVOY.get_or_init(|| envoy(valkey().address(), &json!({})))
}

/// What the plugin shows under a path.
fn ask(envoy: &Envoy, path: &str) -> String {
    let reply = http::get(envoy.url(path)).unwrap();
    assert_eq!(reply.status, 200, "{}", envoy.log());
    reply.text().to_owned()
}

const KEYS: &str = r#"EXISTS 2
EXPIRE true
EXPIRE false
(expires) true
PERSIST true
PERSIST false
(expires) false
DEL 2
EXISTS 0
"#;

const VALUES: &str = r#"GET None
SETEX ()
(expires) true
SET ()
(expires) false
GET Some("a text")
SETNX false
SETNX true
MSET ()
MGET [Some(2), Some(3), Some(-4), None]
INCR -3
DECR -1
INCRBY 43
DECRBY -7
"#;

const LISTS: &str = r#"RPUSH 2
LPUSH 4
LRANGE ["a", "b", "c", "d"]
LRANGE ["b", "c"]
LLEN 4
LINDEX Some("d")
LINDEX None
LINSERT BEFORE 5
LINSERT AFTER 6
LINSERT AFTER -1
LRANGE ["x", "a", "x", "b", "c", "d"]
LREM 1
LPOP Some("x")
RPOP Some("d")
LRANGE ["a", "b", "c"]
LPOP None
RPOP None
"#;

const HASHES: &str = r#"HSET true
HSET false
HMSET ()
HLEN 3
HEXISTS true
HEXISTS false
HGET Some(2)
HGET None
HMGET [Some(4), None, Some(3)]
HKEYS ["a", "b", "c"]
HVALS [2, 3, 4]
HGETALL [("a", 2), ("b", 3), ("c", 4)]
HINCRBY -10
HINCRBYFLOAT 3.25
HDEL 2
HGETALL Pairs([("b", 3.25)])
"#;

const SETS: &str = r#"SADD 3
SADD 1
SADD 3
SCARD 4
SISMEMBER true
SISMEMBER false
SMEMBERS ["1", "2", "3", "4"]
SDIFF [1, 2]
SDIFFSTORE 1
SMEMBERS [5]
SINTER [3, 4]
SINTERSTORE 2
SMEMBERS [3, 4]
SUNION [1, 2, 3, 4, 5]
SUNIONSTORE 5
SREM 2
SMEMBERS [3, 4, 5]
"#;

const SORTED_SETS: &str = r#"ZADD 3
ZADD 1
ZCARD 4
ZCOUNT 2
ZCOUNT 4
ZINCRBY 11.5
ZSCORE Some(11.5)
ZSCORE None
ZRANK Some(3)
ZRANK None
ZREVRANK Some(0)
ZREVRANK None
ZRANGE ["b", "c", "d", "a"]
ZREVRANGE ["a", "d"]
ZREM 2
ZRANGE ["b", "c"]
"#;

const SCRIPTS: &str = r#"EVAL 42
EVAL ["one", "two", "60", "four"]
EVAL 5
"#;

#[test]
fn every_command_gives_what_redis_documents() {
    for (path, shown) in [
        ("/keys", KEYS),
        ("/values", VALUES),
        ("/lists", LISTS),
        ("/hashes", HASHES),
        ("/sets", SETS),
        ("/sorted-sets", SORTED_SETS),
        ("/scripts", SCRIPTS),
    ] {
        assert_eq!(ask(shared_envoy(), path), shown, "{path}");
    }
}

#[test]
fn no_command_is_left_out() {
    let shown = [KEYS, VALUES, LISTS, HASHES, SETS, SORTED_SETS, SCRIPTS].concat();
    let methods = include_str!("../src/redis/commands.rs").lines().filter_map(|line| line.trim().strip_prefix('"'));
    let commands: Vec<&str> = methods.filter_map(|line| Some(line.split_once("\" fn ")?.0)).collect();
    assert!(commands.len() > 50, "{commands:?}");
    for command in commands.into_iter().chain(["LINSERT", "EVAL"]) {
        assert!(shown.lines().any(|line| line.split(' ').next() == Some(command)), "{command} is not run");
    }
}

#[test]
fn any_command_is_run() {
    let shown = r#"PING "PONG"
SET true
SET false
STRLEN 5
EVAL Array([Integer(1), Array([Bytes([97]), Array([])]), Null, Status([102, 105, 110, 101])])
"#;
    assert_eq!(ask(shared_envoy(), "/command"), shown);
}

#[test]
fn any_byte_survives_in_keys_and_values() {
    assert_eq!(ask(shared_envoy(), "/any-bytes"), "GET true\nLRANGE true\nHGET true\n");
    // And not only because it is changed on the way back as on the way there.
    let stored = valkey().ask(r#"STRLEN "\x00\r\n\xff$3\r\n*1""#).unwrap();
    assert_eq!(stored, ":256\r\n");
}

#[test]
fn many_bytes_arrive_whole() {
    let shown = "STRLEN 921600\nGETRANGE true\nRPUSH 220\nLRANGE true\n";
    assert_eq!(ask(shared_envoy(), "/many-bytes"), shown);
}

#[test]
fn what_redis_refuses_and_what_it_answers_otherwise_are_different_errors() {
    let shown = r#"LLEN Err(Server("WRONGTYPE Operation against a key holding the wrong kind of value"))
INCR Err(Server("ERR value is not an integer or out of range"))
GET Err(Unexpected(Unexpected { wanted: "an integer", got: "bytes" }))
GET Err(Unexpected(Unexpected { wanted: "an array", got: "bytes" }))
GET Err(Unexpected(Unexpected { wanted: "bytes", got: "null" }))
LINSERT Err(Server("ERR wrong number of arguments for 'linsert' command"))
NOSUCH Err(Server("ERR unknown command 'NOSUCH', with args beginning with: 'argument' "))
GET Ok("a text")
"#;
    assert_eq!(ask(shared_envoy(), "/refused"), shown);
}

#[test]
fn a_password_signs_in() {
    let valkey = Valkey::start(&["--requirepass", "a secret"]).unwrap();
    let envoy = |options| envoy(valkey.address(), &options);
    assert_eq!(ask(&envoy(json!({"password": "a secret"})), "/set"), "set");
    assert_eq!(ask(&envoy(json!({"username": "default", "password": "a secret"})), "/get"), "value");
    assert_eq!(
        ask(&envoy(json!({"password": "wrong"})), "/get"),
        r#"Server("WRONGPASS invalid username-password pair or user is disabled.")"#
    );
    assert_eq!(ask(&envoy(json!({})), "/get"), r#"Server("NOAUTH Authentication required.")"#);
}

#[test]
fn a_user_signs_in_and_has_its_own_rights() {
    let user = ["--user", "reader", "on", ">secret", "~*", "+get", "+select"];
    let valkey = Valkey::start(&[user.as_slice(), &["--user", "default", "off"]].concat()).unwrap();
    let envoy = |options| envoy(valkey.address(), &options);
    let reader = envoy(json!({"username": "reader", "password": "secret", "database": 1}));
    assert_eq!(ask(&reader, "/set"), r#"Server("NOPERM User reader has no permissions to run the 'set' command")"#);
    assert_eq!(
        ask(&reader, "/get"),
        r#"Unexpected(Unexpected { wanted: "bytes", got: "null" })"#,
        "it is let in, and there is no such key"
    );
    assert_eq!(
        ask(&envoy(json!({"username": "nobody", "password": "secret"})), "/get"),
        r#"Server("WRONGPASS invalid username-password pair or user is disabled.")"#
    );
}

#[test]
fn a_database_is_selected() {
    let valkey = Valkey::start(&["--requirepass", "secret"]).unwrap();
    let envoy = |database: u32| envoy(valkey.address(), &json!({"password": "secret", "database": database}));
    assert_eq!(ask(&envoy(3), "/set"), "set");
    let replies = valkey.ask("AUTH secret\r\nEXISTS key\r\nSELECT 3\r\nGET key").unwrap();
    assert_eq!(replies, "+OK\r\n:0\r\n+OK\r\n$5\r\nvalue\r\n");
    assert_eq!(ask(&envoy(99), "/set"), r#"Server("ERR DB index is out of range")"#);
}

#[test]
fn an_unknown_cluster_is_that() {
    let envoy = envoy(valkey().address(), &json!({"serviceName": "unknown.static"}));
    assert_eq!(ask(&envoy, "/get"), "NoSuchCluster");
}

#[test]
fn a_stopped_redis_gives_no_answer_until_it_is_back() {
    let mut valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(valkey.address(), &json!({}));
    assert_eq!(ask(&envoy, "/set"), "set");
    valkey.stop();
    assert_eq!(ask(&envoy, "/get"), "NoAnswer");
    valkey.restart().unwrap();
    assert_eq!(ask(&envoy, "/set"), "set");
    assert_eq!(ask(&envoy, "/get"), "value");
}

#[test]
fn a_redis_slower_than_the_timeout_gives_no_answer_until_it_is_back() {
    let valkey = Valkey::start(&[]).unwrap();
    let envoy = envoy(valkey.address(), &json!({"timeout": 300}));
    valkey.pause().unwrap();
    assert_eq!(ask(&envoy, "/get"), "NoAnswer");
    valkey.resume().unwrap();
    valkey.ask("PING").unwrap();
    assert_eq!(ask(&envoy, "/set"), "set");
}

/// A listener in Redis's place, and what it was asked, each time on the connection that waits for the reply.
fn listen() -> (Address, Receiver<(String, TcpStream)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = Address::local(listener.local_addr().unwrap().port());
    let (sender, asked) = channel();
    thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let mut command = String::new();
            let _ = connection.read_to_string(&mut command);
            if sender.send((command, connection)).is_err() {
                break;
            }
        }
    });
    (address, asked)
}

#[test]
fn an_answer_that_is_not_redis_is_a_protocol_error() {
    for (answer, shown) in [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n".as_slice(), r#"Protocol("the reply is not in RESP2")"#),
        (b"\xff\0\r\n", r#"Protocol("the reply is not in RESP2")"#),
        (b"$5\r\nval", r#"Protocol("the reply ends too early")"#),
        (b"$5\r\nvalue\r\n+OK\r\n", r#"Protocol("there are bytes behind the reply")"#),
        (&b"*1\r\n".repeat(100_000), r#"Protocol("the reply has more than 16 arrays in each other")"#),
        (b"-ERR no\r\n", r#"Server("ERR no")"#),
        (
            b"-LOADING Redis is loading the dataset in memory\r\n",
            r#"Server("LOADING Redis is loading the dataset in memory")"#,
        ),
        (b"", "NoAnswer"),
    ] {
        let (address, asked) = listen();
        let envoy = envoy(address, &json!({}));
        let answered = thread::scope(|scope| {
            let answered = scope.spawn(|| ask(&envoy, "/get"));
            let (command, mut connection) = asked.recv().unwrap();
            assert_eq!(command, "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
            connection.write_all(answer).unwrap();
            drop(connection);
            answered.join().unwrap()
        });
        assert_eq!(answered, shown);
    }
}

#[test]
fn a_listener_that_closes_at_once_gives_no_answer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let envoy = envoy(Address::local(listener.local_addr().unwrap().port()), &json!({}));
    thread::spawn(move || listener.incoming().for_each(drop));
    assert_eq!(ask(&envoy, "/get"), "NoAnswer");
    assert_eq!(ask(&envoy, "/get"), "NoAnswer");
}

#[test]
fn two_commands_wait_together_and_each_gets_its_own_reply() {
    valkey().ask("MSET first 1 second 2").unwrap();
    assert_eq!(ask(shared_envoy(), "/together"), "1 2");
}

/// Takes both commands of a request, and answers first the one that has `first_answered` in it.
fn answer_both(asked: &Receiver<(String, TcpStream)>, first_answered: &str) {
    let mut both = [asked.recv().unwrap(), asked.recv().unwrap()];
    both.sort_by_key(|(command, _)| !command.contains(first_answered));
    for (command, mut connection) in both {
        let value = if command.contains("first") { "1" } else { "2" };
        write!(connection, "+{value}\r\n").unwrap();
    }
}

#[test]
fn replies_find_their_commands_in_any_order() {
    let (address, asked) = listen();
    let envoy = envoy(address, &json!({}));
    for first_answered in ["first", "second"] {
        thread::scope(|scope| {
            let shown = scope.spawn(|| ask(&envoy, "/together"));
            answer_both(&asked, first_answered);
            assert_eq!(shown.join().unwrap(), "1 2");
        });
    }
}

#[test]
fn a_late_reply_to_a_command_that_was_given_up_is_dropped() {
    let (address, asked) = listen();
    let envoy = envoy(address, &json!({}));
    for first_answered in ["first", "second"] {
        thread::scope(|scope| {
            let shown = scope.spawn(|| ask(&envoy, "/given-up"));
            answer_both(&asked, first_answered);
            assert_eq!(shown.join().unwrap(), "None 2");
        });
    }
    assert_unharmed(&envoy);
}

#[test]
fn commands_after_a_reply_belong_to_their_request() {
    thread::scope(|scope| {
        for client in 0..8 {
            scope.spawn(move || {
                for request in 0..25 {
                    let id = format!("request-{client}-{request}");
                    let url = shared_envoy().url("/one-after-another");
                    let reply = http::request("GET", url).header("x-id", &id).send().unwrap();
                    assert_eq!(reply.text(), format!("{id} {id} {id}"));
                }
            });
        }
    });
    assert_unharmed(shared_envoy());
}

fn assert_unharmed(envoy: &Envoy) {
    let log = envoy.log();
    assert!(!log.contains("panicked") && !log.contains("[critical]"), "{log}");
}
