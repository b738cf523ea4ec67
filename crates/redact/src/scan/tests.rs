use super::*;
use crate::steps::STEPS;
use Kind::{AwsKey, Card, Email, Jwt};

fn all(text: &str) -> impl Iterator<Item = Match> {
    Matches::new(text, RuleSet::defaults(), false).into_iter().flatten()
}

fn found(text: &str) -> Vec<(&str, Kind)> {
    all(text).map(|found| (&text[found.start..found.end], found.kind)).collect()
}

#[test]
fn finds_what_the_rules_say() {
    let cases: &[(&str, &[(&str, Kind)])] = &[
        ("", &[]),
        ("@", &[]),
        ("a@b.c a@b a@.cd @b.cd a@b..c", &[]),
        ("<a.b+c%d-e_f@g-h.i.jk>", &[("a.b+c%d-e_f@g-h.i.jk", Email)]),
        ("a@b.cd1 é@b.cd", &[("a@b.cd", Email), ("é@b.cd", Email)]),
        ("éa@b.cdé. na\u{308}e@b.cd", &[("éa@b.cdé", Email), ("na\u{308}e@b.cd", Email)]),
        ("ц@ж.фы1.эю ц@ж.ф a@bü.de", &[("ц@ж.фы1.эю", Email), ("a@bü.de", Email)]),
        // Without a separator a script without spaces does not join ASCII.
        ("写信给ana@b.cd谢谢 用户@例子.测试", &[("ana@b.cd", Email), ("用户@例子.测试", Email)]),
        ("用户_a1@b.cd", &[("用户_a1@b.cd", Email)]),
        ("a@b.cd.e1.f", &[("a@b.cd", Email)]),
        ("a@@b.cd", &[]),
        ("a@b@c.de@f.gh", &[("b@c.de", Email)]),
        ("a@..bc", &[("a@..bc", Email)]),
        ("n 1234 5678-90123456.", &[("1234 5678-90123456", Card)]),
        ("12345678901234567 _1234567890123456 é1234567890123456", &[]),
        ("1234567890123456é 1234567890123456²", &[]),
        ("1234567890123456\u{301}", &[("1234567890123456", Card)]),
        ("\u{200D}1234567890123456\u{200D}", &[("1234567890123456", Card)]),
        ("1234--567890123456, 1234 567 890123456", &[]),
        ("1234\u{1C}5678\u{1F}9012\u{3000}3456", &[("1234\u{1C}5678\u{1F}9012\u{3000}3456", Card)]),
        ("١٢٣٤567８90123456", &[("١٢٣٤567８90123456", Card)]),
        ("eyJa.eyJb.c", &[("eyJa.eyJb.c", Jwt)]),
        ("xeyJa_-.eyJb.c.d", &[("eyJa_-.eyJb.c", Jwt)]),
        ("eyJ.eyJb.c eyJa.eyJ.c eyJa.eyJb. eyJa.Jb.c eyJa eyJa.eyJb", &[]),
        ("eyJa.eyJb.eyJc.d", &[("eyJa.eyJb.eyJc", Jwt)]),
        ("eyJeyJ.eyJa.eyJb.c", &[("eyJeyJ.eyJa.eyJb", Jwt)]),
        ("AKIA0123456789ABCDEFG", &[("AKIA0123456789ABCDEF", AwsKey)]),
        ("AKIA0123456789ABCDE AKIA0123456789abcdef", &[]),
        ("AKAKIA0123456789ABCDEF", &[("AKIA0123456789ABCDEF", AwsKey)]),
        // A card that is found only without its disguise cuts the UUID that excepted the other one.
        (
            "A\u{200B}00000000-0000-0000-0000-000000000000\u{200B}١٢٣٤١٢٣٤١٢٣٤١٢٣٤",
            &[
                ("00000000-0000-0000", Card),
                ("0000-000000000000", Card),
                ("١٢٣٤١٢٣٤١٢٣٤١٢٣٤", Card),
            ],
        ),
        // The leftmost match. If several begin together, the longest.
        ("eyJa.eyJb.c@d.ef", &[("eyJa.eyJb.c@d.ef", Email)]),
        ("eyJa.eyJb.c_@d.e", &[("eyJa.eyJb.c_", Jwt)]),
        ("1234 5678 9012 3456@b.cd", &[("1234 5678 9012 3456", Card)]),
        ("1234-5678-9012-3456@b.cd", &[("1234-5678-9012-3456@b.cd", Email)]),
        // A match makes boundaries beside it.
        ("1234 5678 9012 3456eyJa.eyJb.c", &[("1234 5678 9012 3456", Card), ("eyJa.eyJb.c", Jwt)]),
        ("١٢٣٤١٢٣٤١٢٣٤١٢٣٤.", &[("١٢٣٤١٢٣٤١٢٣٤١٢٣٤", Card)]),
        ("١٢٣٤١٢٣٤١٢٣٤١٢٣٤a@b.cd", &[("١٢٣٤١٢٣٤١٢٣٤١٢٣٤a@b.cd", Email)]),
        ("a@b.cd1234567890123456", &[("a@b.cd", Email), ("1234567890123456", Card)]),
        (
            "1234 1234567890123456AKIA0123456789ABCDEF",
            &[("1234567890123456", Card), ("AKIA0123456789ABCDEF", AwsKey)],
        ),
        ("AKIA0123456789ABCDEF@b.cd", &[("AKIA0123456789ABCDEF@b.cd", Email)]),
        ("1234 5678 9012 3456.x@b.cd", &[("1234 5678 9012 3456", Card), (".x@b.cd", Email)]),
    ];
    for (text, expected) in cases {
        assert_eq!(found(text), *expected, "{text:?}");
    }
}

#[test]
fn disguises_are_seen_through() {
    let cases: &[(&str, &[(&str, Kind)])] = &[
        ("an\u{200B}a@exam\u{200D}ple.org!", &[("an\u{200B}a@exam\u{200D}ple.org", Email)]),
        ("ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", &[("ａｎａ＠ｅｘａｍｐｌｅ．ｏｒｇ", Email)]),
        ("AK\u{2060}IA0123456789ABCDEF\u{200B}", &[("AK\u{2060}IA0123456789ABCDEF", AwsKey)]),
        ("ＡＫＩＡ0123456789ABCDEF.", &[("ＡＫＩＡ0123456789ABCDEF", AwsKey)]),
        ("5500\u{FEFF}0000 0000\u{200C}0004", &[("5500\u{FEFF}0000 0000\u{200C}0004", Card)]),
        (
            "kim.of.the.shop@post.exa\u{200B}mple",
            &[("kim.of.the.shop@post.exa\u{200B}mple", Email)],
        ),
        ("wo\u{200B}rds “quoted” — and ｆｕｌｌ", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(found(text), *expected, "{text:?}");
    }
}

fn is_local(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._%+-".contains(c)
}

fn naive_email(text: &[char]) -> bool {
    (1..text.len()).filter(|&at| text[at] == '@' && is_local(text[at - 1])).any(|at| {
        let domain = text[at + 1..].split(|&c| !(c.is_ascii_alphanumeric() || ".-".contains(c)));
        domain.into_iter().next().is_some_and(|domain| {
            (1..domain.len().saturating_sub(2)).any(|dot| {
                domain[dot] == '.' && domain[dot + 1..dot + 3].iter().all(char::is_ascii_alphabetic)
            })
        })
    })
}

fn naive_card(text: &[char]) -> bool {
    let word = |at: Option<&char>| at.is_some_and(|&c| c == '_' || c.is_alphanumeric());
    let digit = |c: char| c.is_ascii_digit() || ('٠'..='٩').contains(&c);
    let separator = |c: char| c == '-' || c.is_whitespace() || ('\x1c'..='\x1f').contains(&c);
    (0..text.len()).filter(|&start| start == 0 || !word(text.get(start - 1))).any(|start| {
        let mut at = start;
        for group in 0..4 {
            if group > 0 && text.get(at).is_some_and(|&c| separator(c)) {
                at += 1;
            }
            if !text.get(at..at + 4).is_some_and(|four| four.iter().all(|&c| digit(c))) {
                return false;
            }
            at += 4;
        }
        // The fraction of a number is an exception.
        let is_fraction = at - start == 16
            && start > 1
            && text[start - 1] == '.'
            && text[start - 2].is_ascii_digit()
            && !(start > 2 && (text[start - 3].is_ascii_digit() || text[start - 3] == '.'));
        !word(text.get(at)) && !is_fraction
    })
}

fn naive_jwt(text: &str) -> bool {
    let part = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    text.split(|c| !(part(c) || c == '.')).any(|run| {
        let parts: Vec<_> = run.split('.').collect();
        parts.windows(3).any(|three| {
            three[0].find("eyJ").is_some_and(|at| three[0].len() > at + 3)
                && three[1].starts_with("eyJ")
                && three[1].len() > 3
                && !three[2].is_empty()
        })
    })
}

fn naive_aws_key(text: &str) -> bool {
    text.match_indices("AKIA").any(|(at, _)| {
        let random = text[at + 4..].chars().take(16);
        random.filter(|c| c.is_ascii_uppercase() || c.is_ascii_digit()).count() == 16
    })
}

fn naive(text: &str, kind: Kind) -> bool {
    let chars: Vec<_> = text.chars().collect();
    match kind {
        Email => naive_email(&chars),
        Card => naive_card(&chars),
        Jwt => naive_jwt(text),
        AwsKey => naive_aws_key(text),
        _ => false,
    }
}

const FRAGMENTS: [&str; 47] = [
    "kim.o+n%e@post.example-shop.org",
    "k@l.mn",
    "k@l.m",
    "@",
    "to@",
    "@mx.net",
    "k@l.m2",
    "ç@ü.de",
    "k@l..mn",
    "k@-.mn",
    "k@l.mn@o.pq",
    "5500 0000 0000 0004",
    "5500000000000004",
    "5500-0000-0000-0004",
    "5500\u{a0}0000\u{2003}0000\t0004",
    "55000000000000040",
    "_5500000000000004",
    "٥٥٠٠٠٠٠٠٠٠٠٠٠٠٠٤",
    "5500\u{1c}0000\u{1d}0000\u{1f}0004",
    "5500--0000",
    "5500000000000004\u{301}",
    "5500000000000004²",
    "\u{200d}5500000000000004",
    "0000",
    "00",
    "eyJhIjoxfQ.eyJiIjoyfQ.s-_9",
    "eyJx.eyJy.",
    "eyJ.eyJ.z",
    "eyJx.eyJy.z.eyJx.eyJy.z",
    "eyJ",
    ".eyJ",
    "AKIAZZZZZZZZZZZZZZZZ",
    "AKIA9876543210ZYXWVU7",
    "AKIA",
    "AKIAAKIA",
    "AKIA\u{200b}9876543210ZYXWVU",
    "４１１１-1111-1111-1111",
    "\u{200b}",
    "[REDACTED_card]",
    "[",
    "]",
    "🙂",
    "é",
    " ",
    "\n",
    ".",
    "-",
];

fn random_text(rng: &mut fastrand::Rng) -> String {
    let alphabet: Vec<_> = "abzAZ059._%+-@ \neyJAKIA[]é٥".chars().collect();
    let mut text = String::new();
    for _ in 0..rng.usize(0..12) {
        if rng.bool() {
            text.push_str(FRAGMENTS[rng.usize(..FRAGMENTS.len())]);
        } else {
            text.extend((0..rng.usize(0..6)).map(|_| alphabet[rng.usize(..alphabet.len())]));
        }
    }
    text
}

#[test]
fn nothing_matches_between_the_matches_and_each_is_one() {
    let mut rng = fastrand::Rng::with_seed(0x5EED);
    for _ in 0..60_000 {
        let text = random_text(&mut rng);
        let mut edge = 0;
        let mut segments = Vec::new();
        for found in all(&text) {
            assert!(edge <= found.start && found.start < found.end, "{text:?}");
            let is_one = naive(&text[found.start..found.end], found.kind);
            // Beyond ASCII there is more than the floor.
            let is_more = match found.kind {
                Email => !text[found.start..found.end].is_ascii(),
                kind => kind == Kind::AwsSecret,
            };
            let is_disguised = text.contains(confusables::is_disguise_char);
            assert!(is_one || is_more || is_disguised, "{found:?} in {text:?}");
            segments.push(&text[edge..found.start]);
            edge = found.end;
        }
        segments.push(&text[edge..]);
        for kind in Kind::ALL {
            for segment in &segments {
                assert!(!naive(segment, kind), "{kind:?} in {segment:?} of {text:?}");
            }
            assert!(segments.len() > 1 || !naive(&text, kind), "{kind:?} in {text:?}");
        }
    }
}

#[test]
fn every_form_finds_the_same() {
    let forms = RuleSet::in_each_form();
    let mut rng = fastrand::Rng::with_seed(512);
    let whole = ["to ana@example.org", "an/a@example.org", "id=ana@example.org", "k@l.mn"];
    for n in 0..8_000 {
        let text = whole.get(n).map_or_else(|| random_text(&mut rng), |text| (*text).into());
        let found =
            |rules| -> Vec<_> { Matches::new(&text, rules, false).into_iter().flatten().collect() };
        for rules in &forms {
            assert_eq!(found(rules), found(RuleSet::defaults()), "{text:?}");
        }
    }
}

/// A token without an end of its own runs into the next one, and is found when that is known.
#[test]
fn a_numbered_token_before_another_token_is_found_at_once() {
    let token = format!("74|1111{}AccA{}-22opJ222", "c".repeat(13), "c".repeat(16));
    let text = format!("{} N{token}AKIAIOSFODNN7EXAMPLE", "x".repeat(60));
    let found = found(&text);
    assert_eq!(found, [(&*token, Kind::ApiToken), ("AKIAIOSFODNN7EXAMPLE", AwsKey)]);
}

#[test]
fn a_name_may_have_many_separators() {
    for separator in ["-", "_", "."] {
        for text in ["api*key=a1b2c3d4e5f6", "sec*ret=a1b2c3d4e5f6", "to*ken=a1b2c3d4e5f6"] {
            let text = text.replace('*', &separator.repeat(45));
            assert_eq!(found(&text), [("a1b2c3d4e5f6", Kind::Credential)], "{text}");
        }
    }
}

#[test]
fn a_short_text_without_what_tells_has_no_match() {
    let parts = [
        "eyJa",
        ".eyJb",
        ".c",
        "a",
        "@",
        "b.cd",
        "1234",
        "5",
        "-",
        " ",
        "536-90-4399",
        "pwd",
        "key",
        "=",
        ": ",
        ", ",
        "is ",
        "\"x",
        "'",
        "`hunter22",
        "sk-",
        "xoxb-",
        "cookie: ",
        "://u:",
        "p@h",
        "?sig=",
        "DE89",
        "é",
        "\u{200B}",
        "４",
        "AKIA",
        "password",
        "machine",
        "$2a$",
        "\\",
    ];
    let (rules, mut rng) = (RuleSet::defaults(), fastrand::Rng::with_seed(14));
    let mut matched = 0;
    for _ in 0..60_000 {
        let mut text = String::new();
        while text.len() < 6 || rng.u8(..) < 200 {
            text.push_str(parts[rng.usize(..parts.len())]);
        }
        let end = crate::floor_char_boundary(&text, rng.usize(6..=14));
        let text = &text[..end];
        let found =
            Matches::with_candidates(Candidates::starting_at(0), text, rules, false).count();
        assert!(found == 0 || !rules.filter.is_plainly_clean(text.as_bytes()), "{text:?}");
        matched += usize::from(found > 0);
    }
    assert!(matched > 300, "{matched}");
}

#[test]
fn the_work_is_linear() {
    let steps = |text: &str| {
        STEPS.set(0);
        all(text).count();
        STEPS.get()
    };
    let units = [
        "@",
        "\x1b[",
        "\x1b[\x1b[0m0m",
        "\x1b[1mpassword=\x1b[0mq7Xk2Lm9Zt4R",
        "password \x1b[0m",
        "\\nr8_",
        "password | default(",
        "password: |\n ",
        "x\tTRUE\t/\tTRUE\t1\t",
        "password**\u{201d}:\u{a0}\u{201c}",
        "password=Some(Optional[",
        "Password: (string) (len=",
        "&amp;sig=;sig=",
        "a",
        ".",
        "1",
        "1 ",
        "1234 ",
        "eyJ",
        "eyJ.",
        "eyJa.",
        "eyJa.eyJ.",
        "a@",
        "a@a.",
        "a@b.cd",
        "a.aa.1",
        "AKIA",
        "A",
        "AKIA000000000000000",
        "1234567890123456",
        "é",
        "٥",
        "[",
        "@a.b",
        "5500000000000004eyJa.eyJb.c ",
        "eyJa.eyJb.c@d.ef",
        "eyJaaaaaaaaaaaaaaaa.eyJaaaaaaaaaaaaaa",
        "pbkdf2_sha256$",
        "pbkdf2_sha256$1$",
        "scrypt:",
        "SCRAM-SHA-256$",
        "$P$",
        "password=",
        "password=\"",
        "secret='",
        "token: ",
        "_token",
        "apiKey\\",
        "sk-",
        "sk-proj-",
        "key-0123456789abcdef0123456789abcdef",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "LS0tLS1CRUdJTi",
        "cookie: ",
        "Set-Cookie: a",
        "bearer ",
        "bearer aaaaaaaaaaaaaaaaaaaaaa",
        "authorization: ",
        "authorization,",
        "$2a$",
        "$argon2",
        "$ar",
        "://",
        "://a:",
        "?key=",
        "MTAaaa.",
        ":AA",
        "AZDO",
        "7Q~",
        "machine ",
        "machine login ",
        "hooks.slack.com",
        "00D",
        "DE89",
        "DE89 ",
        "536-90-",
        "\u{200B}",
        "a\u{200B}",
        "ｆ",
        "ＡＫＩＡ0123456789ABCDEF ",
        "ａ@b.cd ",
        "A\u{200B}4111111111111111\u{200B}",
        ":token",
        ":password",
        ":a:secret_key",
        "\u{AD}",
        "se\u{AD}cret=a ",
        "password=\"a\\\"",
        "password=\\\"",
        "password='\\'secret=\"\\\"",
        "password: !!a &a ",
        "password=&quot;",
        "login a password ",
        "machine a login a password\n",
        "token=[REDACTED]",
        "b3: 1234567890123456-",
        "f(\"token\")=\"",
    ];
    for unit in units {
        let (once, twice) = (steps(&unit.repeat(2_000)), steps(&unit.repeat(4_000)));
        assert!(twice <= 2 * once + 8_000, "{unit:?}: {once} steps, then {twice}");
        assert!(once <= 200 * 2_000 * unit.len(), "{unit:?}: {once} steps");
    }
    // One long run of each class before what may or may not complete it.
    for (run, tail) in [
        ("a.", "@b"),
        ("eyJ", ".eyJ"),
        ("1", "é"),
        ("x@y.", "zz"),
        ("AKIA", "a"),
        ("536-90-4399-", "AKIA0123456789ABCDEF"),
    ] {
        let (once, twice) = (run.repeat(2_000) + tail, run.repeat(4_000) + tail);
        assert!(steps(&twice) <= 2 * steps(&once) + 2_000, "{run:?}");
    }
}
