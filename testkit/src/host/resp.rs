// SPDX-License-Identifier: Apache-2.0
//! As much of Redis's protocol as a gateway needs: commands as bytes, and where a reply ends.

/// The parts of a command as a client sends it, an array of bulk strings; `None` if it is not exactly one.
pub(super) fn command(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (count, mut rest) = number(bytes, b'*')?;
    let mut parts = Vec::new();
    for _ in 0..count {
        let (length, after) = number(rest, b'$')?;
        let (part, after) = after.split_at_checked(usize::try_from(length).ok()?)?;
        rest = after.strip_prefix(b"\r\n")?;
        parts.push(part.to_vec());
    }
    rest.is_empty().then_some(parts)
}

/// A command of these parts.
pub(super) fn encode(parts: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", parts.len());
    for part in parts {
        bytes.push_str(&format!("${}\r\n{part}\r\n", part.len()));
    }
    bytes.into_bytes()
}

/// How many bytes the first reply in `bytes` has; `None` if it has not come to its end.
pub(super) fn reply_length(bytes: &[u8]) -> Option<usize> {
    let line = bytes.windows(2).position(|end| end == b"\r\n")? + 2;
    match bytes.first()? {
        b'$' => match number(bytes, b'$')?.0 {
            length @ 0.. => Some(line + length as usize + 2).filter(|&end| end <= bytes.len()),
            _ => Some(line),
        },
        b'*' => {
            let mut end = line;
            for _ in 0..number(bytes, b'*')?.0 {
                end += reply_length(bytes.get(end..)?)?;
            }
            Some(end)
        }
        _ => Some(line),
    }
}

/// The number in a first line that begins with `kind`, and what comes behind the line.
fn number(bytes: &[u8], kind: u8) -> Option<(i64, &[u8])> {
    let bytes = bytes.strip_prefix(&[kind])?;
    let end = bytes.windows(2).position(|end| end == b"\r\n")?;
    let (number, rest) = bytes.split_at_checked(end)?;
    Some((str::from_utf8(number).ok()?.parse().ok()?, rest.get(2..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_has_its_parts() {
        assert_eq!(command(&encode(&["GET", "", "a\r\nb"])).unwrap(), [b"GET".to_vec(), vec![], b"a\r\nb".to_vec()]);
        for wrong in ["", "GET x\r\n", "*1\r\n", "*1\r\n$3\r\nGE\r\n", "*1\r\n$1\r\na\r\n*1\r\n$1\r\na\r\n"] {
            assert_eq!(command(wrong.as_bytes()), None, "{wrong}");
        }
    }

    #[test]
    fn a_reply_has_an_end() {
        for reply in [
            "+OK\r\n",
            ":1\r\n",
            "-ERR\r\n",
            "$-1\r\n",
            "$0\r\n\r\n",
            "$2\r\n\r\n\r\n",
            "*2\r\n:1\r\n*1\r\n$1\r\na\r\n",
        ] {
            assert_eq!(reply_length(format!("{reply}:2\r\n").as_bytes()), Some(reply.len()), "{reply}");
            assert_eq!(reply_length(&reply.as_bytes()[..reply.len() - 1]), None, "{reply}");
        }
    }
}
