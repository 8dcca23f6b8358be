-- What a held request means, for the people who answer it.
ALTER TABLE holds ADD COLUMN facts TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(facts));
