-- What the check asks for; each extension is a shared library that the server loads when it is first used.
CREATE EXTENSION pg_trgm;
CREATE EXTENSION pgcrypto;
CREATE TABLE goods (name text PRIMARY KEY, price numeric NOT NULL, stocked timestamptz NOT NULL);
INSERT INTO goods VALUES
    ('coffee', 8.90, '2024-07-01 12:00+00'),
    ('running shoes', 79, '2024-01-01 12:00+00');
CREATE FUNCTION total() RETURNS numeric LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT sum(price) FROM goods);
END $$;
