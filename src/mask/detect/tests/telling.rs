//! Which names are those of secret values, and that the prefilter sees each of them.

use proptest::prelude::*;

use super::*;
use names::{KEY, STEMS, is_behind_word};

const TELLING: &[&str] = &[
    "password",
    "Password",
    "PASSWORD",
    "passwd",
    "pwd",
    "passphrase",
    "DB_PASSWORD",
    "db-password",
    "dbPassword",
    "db.password",
    "spring.datasource.password",
    "api key",
    "Shared access key",
    "API (KEY)",
    "POSTGRES_PASSWORD",
    "PGPASSWORD",
    "MYSQL_PWD",
    "userPassword2",
    "password_base64",
    "old-password",
    "passwordHash",
    "dbPass",
    "SMTP_PASS",
    "passWord",
    "secret",
    "clientSecret",
    "client_secret",
    "CLIENT-SECRET",
    "token",
    "accessToken",
    "refresh_token",
    "X-Vault-Token",
    "GITHUB_TOKEN",
    "authtoken",
    "apikey",
    "api_key",
    "API-KEY",
    "apiKey",
    "APIKey",
    "x-api-key",
    "access_key",
    "secretAccessKey",
    "AWS_SECRET_ACCESS_KEY",
    "private_key",
    "privateKey",
    "signing-key",
    "encryptionKey",
    "storageAccountKey",
    "AccountKey",
    "client-key-data",
    "credential",
    "credentials",
    "creds",
    "auth",
    "basicAuth",
    "Authorization",
    "--password",
];

const NOT_TELLING: &[&str] = &[
    "",
    "-",
    "name",
    "key",
    "Key",
    "KEY",
    "secretName",
    "secret_name",
    "SECRET_NAME",
    "secretKeyRef",
    "secretRef",
    "imagePullSecrets",
    "secrets",
    "tokenReview",
    "tokenPath",
    "token-file",
    "TOKEN_TTL",
    "token_url",
    "tokenExpirationSeconds",
    "automountServiceAccountToken",
    "maxTokens",
    "MAX_TOKENS",
    "nextPageToken",
    "passwordFile",
    "PASSWORD_FILE",
    "passwordPolicy",
    "password-length",
    "authMode",
    "auth-type",
    "authentication",
    "authenticated",
    "author",
    "publicKey",
    "public_key",
    "topologyKey",
    "partitionKey",
    "primaryKey",
    "privateKeySecretRef",
    "apiKeyId",
    "access_key_id",
    "bypass",
    "compass",
    "first_pass",
    "PWD",
    "OLDPWD",
    "keyboard",
    "monkey",
    "secretary",
    "tokenizer",
    "MYSQL_ALLOW_EMPTY_PASSWORD",
];

#[test]
fn names_of_values_tell_and_names_of_names_do_not() {
    let wrong = |names: &[&'static str], telling| {
        let names = names.iter().copied();
        names
            .filter(|name| Detectors::is_telling(name.as_bytes()) != telling)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        wrong(TELLING, true),
        Vec::<&str>::new(),
        "tell nothing, and should"
    );
    assert_eq!(
        wrong(NOT_TELLING, false),
        Vec::<&str>::new(),
        "tell, and should not"
    );
}

/// A word in small letters, in capitals, or as a title.
fn word() -> impl Strategy<Value = String> {
    let words: Vec<&str> = "password passwd passphrase pass pwd secret secrets token tokens apikey accesskey \
        secretkey privatekey key keys api access private account signing tls ssh cred creds credential credentials \
        auth authorization basicauth dockerauth user db my word code data base64 old value page next x name file"
        .split_whitespace()
        .collect();
    (
        prop::sample::select(words),
        0..3,
        prop::option::weighted(0.1, 0..99_u8),
    )
        .prop_map(|(word, case, number)| {
            let number = number.map(|number| number.to_string()).unwrap_or_default();
            let word = match case {
                0 => word.to_owned(),
                1 => word.to_uppercase(),
                _ => word[..1].to_uppercase() + &word[1..],
            };
            word + &number
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn every_telling_name_holds_what_the_prefilter_looks_for(
        words in prop::collection::vec(word(), 1..5),
        joint in prop::sample::select(vec!["", "_", "-", ".", " ", " - ", "/", "!", "é", " ("]),
    ) {
        let name = words.join(joint);
        let mut keys = name.match_indices(KEY).map(|(at, key)| at..at + key.len());
        let seen = STEMS.iter().any(|stem| name.contains(stem))
            || keys.any(|key| is_behind_word(name.as_bytes(), &key));
        prop_assert!(seen || !Detectors::is_telling(name.as_bytes()), "{} is not seen", name);
    }
}
