// SPDX-License-Identifier: Apache-2.0
//! Redis's commands, each as a method. What is not here goes through [`RedisClient::command`].

use super::RedisClient;
use crate::reply::{FromReply, Pairs, RedisError, ToArg};

/// One line a command: its word, its method, the arguments (after the `;` a list, or pairs, of them), and
/// what it gives; a `T` is what the caller asks for.
macro_rules! commands {
    ($(
        $(#[doc = $doc:literal])+
        $word:literal fn $name:ident $(<$generic:ident>)?
            ($($arg:ident),* $(; $list:ident $(=> $value:ident)?)?) -> $result:ty;
    )+) => {
        impl RedisClient {$(
            $(#[doc = $doc])+
            ///
            /// # Errors
            /// As [`command`](Self::command).
            pub async fn $name $(<$generic: FromReply>)? (
                &self,
                $($arg: impl ToArg,)*
                $($list: commands!(@list $($value)?),)?
            ) -> Result<$result, RedisError> {
                #[allow(unused_mut, reason = "only commands with a list add to it")]
                let mut args: Vec<&dyn ToArg> = vec![&$word, $(&$arg),*];
                $(commands!(@add args $list $($value)?);)?
                self.command(&args).await
            }
        )+}
    };
    (@list) => { &[impl ToArg] };
    (@list $value:ident) => { &[(impl ToArg, impl ToArg)] };
    (@add $args:ident $list:ident) => { $args.extend($list.iter().map(|item| item as &dyn ToArg)) };
    (@add $args:ident $list:ident $value:ident) => {
        for (key, value) in $list {
            $args.extend([key as &dyn ToArg, value as &dyn ToArg]);
        }
    };
}

commands! {
    // Keys.

    /// Deletes keys, and gives how many there were.
    "DEL" fn del(; keys) -> u64;
    /// How many of the keys there are.
    "EXISTS" fn exists(; keys) -> u64;
    /// Lets a key expire after a time in seconds; false if there is no such key.
    "EXPIRE" fn expire(key, seconds) -> bool;
    /// Takes a key's expiry away; false if there is no such key, or it had none.
    "PERSIST" fn persist(key) -> bool;

    // Values.

    /// A value; null if there is none.
    "GET" fn get<T>(key) -> T;
    /// Sets a value, and takes its expiry away.
    "SET" fn set(key, value) -> ();
    /// Sets a value that expires after a time in seconds.
    "SETEX" fn setex(key, seconds, value) -> ();
    /// Sets a value if there is none; false if there is one.
    "SETNX" fn setnx(key, value) -> bool;
    /// The values of several keys, null for one that has none.
    "MGET" fn mget<T>(; keys) -> Vec<T>;
    /// Sets several values at once.
    "MSET" fn mset(; pairs => value) -> ();
    /// Adds 1, and gives the sum; 0 is assumed where there is no value.
    "INCR" fn incr(key) -> i64;
    /// Takes 1 away, and gives the rest; 0 is assumed where there is no value.
    "DECR" fn decr(key) -> i64;
    /// Adds a number, and gives the sum.
    "INCRBY" fn incrby(key, by) -> i64;
    /// Takes a number away, and gives the rest.
    "DECRBY" fn decrby(key, by) -> i64;

    // Lists.

    /// The length of a list.
    "LLEN" fn llen(key) -> u64;
    /// Adds values behind a list, and gives its length.
    "RPUSH" fn rpush(key; values) -> u64;
    /// Takes the last value off a list; null if it is empty.
    "RPOP" fn rpop<T>(key) -> T;
    /// Adds values in front of a list, one after another, and gives its length.
    "LPUSH" fn lpush(key; values) -> u64;
    /// Takes the first value off a list; null if it is empty.
    "LPOP" fn lpop<T>(key) -> T;
    /// The value at an index, from 0, or from -1 backwards; null beyond the ends.
    "LINDEX" fn lindex<T>(key, index) -> T;
    /// The values from one index to another, both included; -1 is the last.
    "LRANGE" fn lrange<T>(key, start, stop) -> Vec<T>;
    /// Removes values that are equal: the first `count`, the last ones if it is negative, all if it is 0.
    /// Gives how many.
    "LREM" fn lrem(key, count, value) -> u64;

    // Hashes.

    /// Whether a hash has a field.
    "HEXISTS" fn hexists(key, field) -> bool;
    /// Deletes fields, and gives how many there were.
    "HDEL" fn hdel(key; fields) -> u64;
    /// How many fields a hash has.
    "HLEN" fn hlen(key) -> u64;
    /// The value of a field; null if there is none.
    "HGET" fn hget<T>(key, field) -> T;
    /// Sets a field; false if it was there before.
    "HSET" fn hset(key, field, value) -> bool;
    /// The values of several fields, null for one that is not there.
    "HMGET" fn hmget<T>(key; fields) -> Vec<T>;
    /// Sets several fields.
    "HMSET" fn hmset(key; pairs => value) -> ();
    /// The names of all fields.
    "HKEYS" fn hkeys<T>(key) -> Vec<T>;
    /// The values of all fields.
    "HVALS" fn hvals<T>(key) -> Vec<T>;
    /// All fields with their values.
    "HGETALL" fn hgetall<T>(key) -> Pairs<String, T>;
    /// Adds a number to a field, and gives the sum.
    "HINCRBY" fn hincrby(key, field, by) -> i64;
    /// Adds a number with a fraction to a field, and gives the sum.
    "HINCRBYFLOAT" fn hincrbyfloat(key, field, by) -> f64;

    // Sets.

    /// How many members a set has.
    "SCARD" fn scard(key) -> u64;
    /// Adds members, and gives how many were new.
    "SADD" fn sadd(key; members) -> u64;
    /// Removes members, and gives how many there were.
    "SREM" fn srem(key; members) -> u64;
    /// Whether a set has a member.
    "SISMEMBER" fn sismember(key, member) -> bool;
    /// All members.
    "SMEMBERS" fn smembers<T>(key) -> Vec<T>;
    /// The members of the first set that are in none of the others.
    "SDIFF" fn sdiff<T>(; keys) -> Vec<T>;
    /// Stores what [`sdiff`](Self::sdiff) gives, and gives how many.
    "SDIFFSTORE" fn sdiffstore(destination; keys) -> u64;
    /// The members that are in all of the sets.
    "SINTER" fn sinter<T>(; keys) -> Vec<T>;
    /// Stores what [`sinter`](Self::sinter) gives, and gives how many.
    "SINTERSTORE" fn sinterstore(destination; keys) -> u64;
    /// The members that are in any of the sets.
    "SUNION" fn sunion<T>(; keys) -> Vec<T>;
    /// Stores what [`sunion`](Self::sunion) gives, and gives how many.
    "SUNIONSTORE" fn sunionstore(destination; keys) -> u64;

    // Sorted sets.

    /// How many members a sorted set has.
    "ZCARD" fn zcard(key) -> u64;
    /// Adds members, each with its score in front, or gives them that score; gives how many were new.
    "ZADD" fn zadd(key; scores => member) -> u64;
    /// How many members have a score from one to another; `-inf` and `+inf` have no end, `(` excludes.
    "ZCOUNT" fn zcount(key, min, max) -> u64;
    /// Adds to a member's score, and gives the sum.
    "ZINCRBY" fn zincrby(key, by, member) -> f64;
    /// A member's score; null if there is no such member.
    "ZSCORE" fn zscore<T>(key, member) -> T;
    /// A member's place by rising score, from 0; null if there is no such member.
    "ZRANK" fn zrank<T>(key, member) -> T;
    /// A member's place by falling score, from 0; null if there is no such member.
    "ZREVRANK" fn zrevrank<T>(key, member) -> T;
    /// Removes members, and gives how many there were.
    "ZREM" fn zrem(key; members) -> u64;
    /// The members from one place to another by rising score, both included; -1 is the last.
    "ZRANGE" fn zrange<T>(key, start, stop) -> Vec<T>;
    /// The members from one place to another by falling score, both included; -1 is the last.
    "ZREVRANGE" fn zrevrange<T>(key, start, stop) -> Vec<T>;
}

impl RedisClient {
    /// Inserts a value in front of the first that equals `pivot`, and gives the list's length; -1 if there is
    /// no such value.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn linsert_before(
        &self,
        key: impl ToArg,
        pivot: impl ToArg,
        value: impl ToArg,
    ) -> Result<i64, RedisError> {
        self.command(&[&"LINSERT", &key, &"BEFORE", &pivot, &value]).await
    }

    /// Inserts a value behind the first that equals `pivot`, and gives the list's length; -1 if there is no
    /// such value.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn linsert_after(
        &self,
        key: impl ToArg,
        pivot: impl ToArg,
        value: impl ToArg,
    ) -> Result<i64, RedisError> {
        self.command(&[&"LINSERT", &key, &"AFTER", &pivot, &value]).await
    }

    /// Runs a Lua script in one step, and gives what it returns. The keys are its `KEYS`, the others its `ARGV`.
    ///
    /// # Errors
    /// As [`command`](Self::command).
    pub async fn eval<T: FromReply>(
        &self,
        script: &str,
        keys: &[impl ToArg],
        args: &[impl ToArg],
    ) -> Result<T, RedisError> {
        let key_count = keys.len();
        let mut words: Vec<&dyn ToArg> = vec![&"EVAL", &script, &key_count];
        words.extend(keys.iter().map(|key| key as &dyn ToArg));
        words.extend(args.iter().map(|arg| arg as &dyn ToArg));
        self.command(&words).await
    }
}
