// SPDX-License-Identifier: Apache-2.0
//! Every Redis command, each kind under a path of its own: a plugin to read, and what the tests run in Envoy.

use std::fmt::{Debug, Write};
use std::time::Duration;

use futures_lite::future;
use shared::prelude::*;
use shared::{Pairs, Reply, ToArg};

plugin!(RedisCommands);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    service_name: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    database: u32,
    /// In milliseconds.
    timeout: Option<u32>,
}

struct RedisCommands {
    redis: RedisClient,
}

impl Plugin for RedisCommands {
    type Config = Config;

    fn new(config: Config) -> Result<Self, ConfigError> {
        let Config { service_name, username, password, database, timeout } = config;
        let cluster = Cluster::of_service(&service_name, None, Some(6379))?;
        let defaults = RedisOptions::default();
        let timeout = timeout.map_or(defaults.timeout, |timeout| Duration::from_millis(timeout.into()));
        let options = RedisOptions { username, password, database, timeout, ..defaults };
        Ok(RedisCommands { redis: RedisClient::new(cluster, options) })
    }

    async fn handle(&self, request: Request) -> Result<Response, Error> {
        let redis = &self.redis;
        let shown = match request.path().as_slice() {
            b"/keys" => keys(redis).await,
            b"/values" => values(redis).await,
            b"/lists" => lists(redis).await,
            b"/hashes" => hashes(redis).await,
            b"/sets" => sets(redis).await,
            b"/sorted-sets" => sorted_sets(redis).await,
            b"/scripts" => scripts(redis).await,
            b"/command" => command(redis).await,
            b"/any-bytes" => any_bytes(redis).await,
            b"/many-bytes" => many_bytes(redis).await,
            b"/refused" => refused(redis).await,
            b"/set" => redis.set("key", "value").await.map(|()| "set".to_string()),
            b"/get" => redis.get("key").await,
            b"/together" => together(redis).await,
            b"/given-up" => given_up(redis).await,
            b"/one-after-another" => one_after_another(redis, &request).await,
            _ => return Ok(request.pass()),
        };
        Ok(Response::new(200).body(shown.unwrap_or_else(|error| format!("{error:?}"))))
    }
}

/// What commands gave, a line each.
#[derive(Default)]
struct Shown(String);

impl Shown {
    fn show(&mut self, command: &str, value: impl Debug) {
        let _ = writeln!(self.0, "{command} {value:?}"); // into a string, which does not fail
    }
}

type Outcome = Result<String, RedisError>;

async fn keys(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    redis.mset(&[("key-a", 1), ("key-b", 2)]).await?;
    shown.show("EXISTS", redis.exists(&["key-a", "key-b", "key-none"]).await?);
    shown.show("EXPIRE", redis.expire("key-a", 100).await?);
    shown.show("EXPIRE", redis.expire("key-none", 100).await?);
    shown.show("(expires)", expires_within_100_seconds(redis, "key-a").await?);
    shown.show("PERSIST", redis.persist("key-a").await?);
    shown.show("PERSIST", redis.persist("key-a").await?);
    shown.show("(expires)", expires_within_100_seconds(redis, "key-a").await?);
    shown.show("DEL", redis.del(&["key-a", "key-b", "key-none"]).await?);
    shown.show("EXISTS", redis.exists(&["key-a"]).await?);
    Ok(shown.0)
}

async fn expires_within_100_seconds(redis: &RedisClient, key: &str) -> Result<bool, RedisError> {
    let seconds: i64 = redis.command(&[&"TTL", &key]).await?;
    Ok((30..=100).contains(&seconds))
}

async fn values(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("GET", redis.get::<Option<String>>("value-a").await?);
    shown.show("SETEX", redis.setex("value-a", 100, "short").await?);
    shown.show("(expires)", expires_within_100_seconds(redis, "value-a").await?);
    shown.show("SET", redis.set("value-a", "a text").await?);
    shown.show("(expires)", expires_within_100_seconds(redis, "value-a").await?);
    shown.show("GET", redis.get::<Option<String>>("value-a").await?);
    shown.show("SETNX", redis.setnx("value-a", "another").await?);
    shown.show("SETNX", redis.setnx("value-b", "2").await?);
    shown.show("MSET", redis.mset(&[("value-c", 3), ("value-d", -4)]).await?);
    shown.show("MGET", redis.mget::<Option<i64>>(&["value-b", "value-c", "value-d", "value-none"]).await?);
    shown.show("INCR", redis.incr("value-d").await?);
    shown.show("DECR", redis.decr("value-none").await?);
    shown.show("INCRBY", redis.incrby("value-c", 40).await?);
    shown.show("DECRBY", redis.decrby("value-c", 50).await?);
    Ok(shown.0)
}

async fn lists(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("RPUSH", redis.rpush("list", &["c", "d"]).await?);
    shown.show("LPUSH", redis.lpush("list", &["b", "a"]).await?);
    shown.show("LRANGE", redis.lrange::<String>("list", 0, -1).await?);
    shown.show("LRANGE", redis.lrange::<String>("list", 1, 2).await?);
    shown.show("LLEN", redis.llen("list").await?);
    shown.show("LINDEX", redis.lindex::<Option<String>>("list", -1).await?);
    shown.show("LINDEX", redis.lindex::<Option<String>>("list", 4).await?);
    shown.show("LINSERT BEFORE", redis.linsert_before("list", "a", "x").await?);
    shown.show("LINSERT AFTER", redis.linsert_after("list", "a", "x").await?);
    shown.show("LINSERT AFTER", redis.linsert_after("list", "none", "x").await?);
    shown.show("LRANGE", redis.lrange::<String>("list", 0, -1).await?);
    shown.show("LREM", redis.lrem("list", -1, "x").await?);
    shown.show("LPOP", redis.lpop::<Option<String>>("list").await?);
    shown.show("RPOP", redis.rpop::<Option<String>>("list").await?);
    shown.show("LRANGE", redis.lrange::<String>("list", 0, -1).await?);
    shown.show("LPOP", redis.lpop::<Option<String>>("list-none").await?);
    shown.show("RPOP", redis.rpop::<Option<String>>("list-none").await?);
    Ok(shown.0)
}

async fn hashes(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("HSET", redis.hset("hash", "a", 1).await?);
    shown.show("HSET", redis.hset("hash", "a", 2).await?);
    shown.show("HMSET", redis.hmset("hash", &[("b", 3), ("c", 4)]).await?);
    shown.show("HLEN", redis.hlen("hash").await?);
    shown.show("HEXISTS", redis.hexists("hash", "a").await?);
    shown.show("HEXISTS", redis.hexists("hash", "none").await?);
    shown.show("HGET", redis.hget::<Option<u64>>("hash", "a").await?);
    shown.show("HGET", redis.hget::<Option<u64>>("hash", "none").await?);
    shown.show("HMGET", redis.hmget::<Option<u64>>("hash", &["c", "none", "b"]).await?);
    shown.show("HKEYS", sorted(redis.hkeys::<String>("hash").await?));
    shown.show("HVALS", sorted(redis.hvals::<u64>("hash").await?));
    let Pairs(fields) = redis.hgetall::<u64>("hash").await?;
    shown.show("HGETALL", sorted(fields));
    shown.show("HINCRBY", redis.hincrby("hash", "a", -12).await?);
    shown.show("HINCRBYFLOAT", redis.hincrbyfloat("hash", "b", 0.25).await?);
    shown.show("HDEL", redis.hdel("hash", &["a", "c", "none"]).await?);
    shown.show("HGETALL", redis.hgetall::<f64>("hash").await?);
    Ok(shown.0)
}

async fn sets(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("SADD", redis.sadd("set-a", &["1", "2", "3"]).await?);
    shown.show("SADD", redis.sadd("set-a", &["3", "4"]).await?);
    shown.show("SADD", redis.sadd("set-b", &["3", "4", "5"]).await?);
    shown.show("SCARD", redis.scard("set-a").await?);
    shown.show("SISMEMBER", redis.sismember("set-a", 4).await?);
    shown.show("SISMEMBER", redis.sismember("set-a", 5).await?);
    shown.show("SMEMBERS", sorted(redis.smembers::<String>("set-a").await?));
    shown.show("SDIFF", sorted(redis.sdiff::<u64>(&["set-a", "set-b"]).await?));
    shown.show("SDIFFSTORE", redis.sdiffstore("set-c", &["set-b", "set-a"]).await?);
    shown.show("SMEMBERS", sorted(redis.smembers::<u64>("set-c").await?));
    shown.show("SINTER", sorted(redis.sinter::<u64>(&["set-a", "set-b"]).await?));
    shown.show("SINTERSTORE", redis.sinterstore("set-c", &["set-a", "set-b"]).await?);
    shown.show("SMEMBERS", sorted(redis.smembers::<u64>("set-c").await?));
    shown.show("SUNION", sorted(redis.sunion::<u64>(&["set-a", "set-b"]).await?));
    shown.show("SUNIONSTORE", redis.sunionstore("set-c", &["set-a", "set-b"]).await?);
    shown.show("SREM", redis.srem("set-c", &[1, 2, 9]).await?);
    shown.show("SMEMBERS", sorted(redis.smembers::<u64>("set-c").await?));
    Ok(shown.0)
}

async fn sorted_sets(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("ZADD", redis.zadd("scores", &[(1.5, "a"), (2.0, "b"), (3.0, "c")]).await?);
    shown.show("ZADD", redis.zadd("scores", &[(4, "c"), (5, "d")]).await?);
    shown.show("ZCARD", redis.zcard("scores").await?);
    shown.show("ZCOUNT", redis.zcount("scores", "(1.5", 4).await?);
    shown.show("ZCOUNT", redis.zcount("scores", "-inf", "+inf").await?);
    shown.show("ZINCRBY", redis.zincrby("scores", 10, "a").await?);
    shown.show("ZSCORE", redis.zscore::<Option<f64>>("scores", "a").await?);
    shown.show("ZSCORE", redis.zscore::<Option<f64>>("scores", "none").await?);
    shown.show("ZRANK", redis.zrank::<Option<u64>>("scores", "a").await?);
    shown.show("ZRANK", redis.zrank::<Option<u64>>("scores", "none").await?);
    shown.show("ZREVRANK", redis.zrevrank::<Option<u64>>("scores", "a").await?);
    shown.show("ZREVRANK", redis.zrevrank::<Option<u64>>("scores", "none").await?);
    shown.show("ZRANGE", redis.zrange::<String>("scores", 0, -1).await?);
    shown.show("ZREVRANGE", redis.zrevrange::<String>("scores", 0, 1).await?);
    shown.show("ZREM", redis.zrem("scores", &["a", "d", "none"]).await?);
    shown.show("ZRANGE", redis.zrange::<String>("scores", 0, -1).await?);
    Ok(shown.0)
}

async fn scripts(redis: &RedisClient) -> Outcome {
    const NONE: [&str; 0] = [];
    let mut shown = Shown::default();
    shown.show("EVAL", redis.eval::<i64>("return 6 * 7", &NONE, &NONE).await?);
    let words = "return {KEYS[1], KEYS[2], ARGV[1], ARGV[2]}";
    let args: [&dyn ToArg; 2] = [&60, &"four"];
    shown.show("EVAL", redis.eval::<Vec<String>>(words, &["one", "two"], &args).await?);
    let count = "redis.call('INCRBY', KEYS[1], ARGV[1]); return redis.call('GET', KEYS[1])";
    shown.show("EVAL", redis.eval::<u64>(count, &["script"], &[5]).await?);
    Ok(shown.0)
}

async fn command(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    shown.show("PING", redis.command::<String>(&[&"PING"]).await?);
    shown.show("SET", redis.command::<bool>(&[&"SET", &"command", &"12345", &"EX", &100, &"NX"]).await?);
    shown.show("SET", redis.command::<bool>(&[&"SET", &"command", &"12345", &"EX", &100, &"NX"]).await?);
    shown.show("STRLEN", redis.command::<u64>(&[&"STRLEN", &"command"]).await?);
    let nested = "return {1, {'a', {}}, false, redis.status_reply('fine')}";
    shown.show("EVAL", redis.command::<Reply>(&[&"EVAL", &nested, &0]).await?);
    Ok(shown.0)
}

/// Every byte there is.
fn all_bytes() -> Vec<u8> {
    (0..=255).collect()
}

async fn any_bytes(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    let key = b"\0\r\n\xff$3\r\n*1";
    redis.set(key, all_bytes()).await?;
    shown.show("GET", redis.get::<Vec<u8>>(key).await? == all_bytes());
    redis.rpush(all_bytes(), &[all_bytes(), Vec::new(), b"\r\n".to_vec()]).await?;
    let list = redis.lrange::<Vec<u8>>(all_bytes(), 0, -1).await?;
    shown.show("LRANGE", list == [all_bytes(), Vec::new(), b"\r\n".to_vec()]);
    redis.hset("any-bytes", all_bytes(), all_bytes()).await?;
    shown.show("HGET", redis.hget::<Vec<u8>>("any-bytes", all_bytes()).await? == all_bytes());
    Ok(shown.0)
}

/// A command may be longer than a reply: see the module `redis::stock_envoy`.
async fn many_bytes(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    redis.set("many-bytes", all_bytes().repeat(4 * 900)).await?;
    shown.show("STRLEN", redis.command::<u64>(&[&"STRLEN", &"many-bytes"]).await?);
    let end: Vec<u8> = redis.command(&[&"GETRANGE", &"many-bytes", &(-60 * 1024), &-1]).await?;
    shown.show("GETRANGE", end == all_bytes().repeat(4 * 60));
    shown.show("RPUSH", redis.rpush("many-items", &vec![all_bytes(); 4 * 55]).await?);
    shown.show("LRANGE", redis.lrange::<Vec<u8>>("many-items", 0, -1).await? == vec![all_bytes(); 4 * 55]);
    Ok(shown.0)
}

async fn refused(redis: &RedisClient) -> Outcome {
    let mut shown = Shown::default();
    redis.set("refused", "a text").await?;
    shown.show("LLEN", redis.llen("refused").await);
    shown.show("INCR", redis.incr("refused").await);
    shown.show("GET", redis.get::<i64>("refused").await);
    shown.show("GET", redis.get::<Vec<String>>("refused").await);
    shown.show("GET", redis.get::<String>("refused-none").await);
    shown.show("LINSERT", redis.command::<u64>(&[&"LINSERT", &"refused-none", &"AFTER"]).await);
    shown.show("NOSUCH", redis.command::<()>(&[&"NOSUCH", &"argument"]).await);
    shown.show("GET", redis.get::<String>("refused").await);
    Ok(shown.0)
}

/// Two commands that wait at the same time.
async fn together(redis: &RedisClient) -> Outcome {
    let (first, second) = future::zip(redis.get::<String>("first"), redis.get::<String>("second")).await;
    Ok(format!("{} {}", first?, second?))
}

/// A command whose reply nobody waits for any more when it comes.
async fn given_up(redis: &RedisClient) -> Outcome {
    let mut first = Box::pin(redis.get::<String>("first"));
    let reply = future::poll_once(&mut first).await;
    drop(first);
    Ok(format!("{reply:?} {}", redis.get::<String>("second").await?))
}

/// What is read from the request after a reply belongs to the same request.
async fn one_after_another(redis: &RedisClient, request: &Request) -> Outcome {
    let id = || request.header_str("x-id").unwrap_or_default();
    redis.set(id(), id()).await?;
    let first: String = redis.get(id()).await?;
    let second: String = redis.get(id()).await?;
    Ok(format!("{first} {second} {}", id()))
}

fn sorted<T: Ord>(mut items: Vec<T>) -> Vec<T> {
    items.sort();
    items
}
