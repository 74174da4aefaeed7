-- Numbers of JSON can be read as numbers: `json_each` gets SQLite's column `atom`, from which the view `metrics` is made.
-- Text is no number here, so `atom` is NULL of it.

-- As in SQLite, what eight bytes cannot hold is infinite, or 0: one such number must not break the view for all.
CREATE FUNCTION json_number(number JSON) RETURNS DOUBLE PRECISION
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN CASE json_typeof(number) WHEN 'number' THEN (number::TEXT)::DOUBLE PRECISION
                                    WHEN 'boolean' THEN (number::TEXT)::BOOLEAN::INTEGER END;
EXCEPTION WHEN numeric_value_out_of_range THEN
    RETURN CASE WHEN number::TEXT ~ '[eE]-' THEN '0' WHEN left(number::TEXT, 1) = '-' THEN '-Infinity'
                ELSE 'Infinity' END;
END
$$;

-- By its schema: PostgreSQL has one of the same name.
DROP FUNCTION uploader.json_each(JSON);
DROP FUNCTION uploader.json_each(TEXT);
DROP FUNCTION uploader.json_each(TEXT, TEXT);

CREATE FUNCTION json_each(document JSON, OUT key TEXT, OUT value TEXT, OUT type TEXT, OUT atom DOUBLE PRECISION)
RETURNS SETOF RECORD
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    IF json_typeof(document) = 'object' THEN
        RETURN QUERY SELECT o.key, uploader.json_text(o.value), uploader.json_kind(o.value), uploader.json_number(o.value)
                     FROM pg_catalog.json_each(document) o;
    ELSIF json_typeof(document) = 'array' THEN
        RETURN QUERY SELECT (a.place - 1)::TEXT, uploader.json_text(a.one), uploader.json_kind(a.one),
                            uploader.json_number(a.one)
                     FROM json_array_elements(document) WITH ORDINALITY AS a(one, place);
    ELSIF document IS NOT NULL THEN
        RETURN QUERY SELECT NULL::TEXT, uploader.json_text(document), uploader.json_kind(document),
                            uploader.json_number(document);
    END IF;
END
$$;

CREATE FUNCTION json_each(document TEXT, OUT key TEXT, OUT value TEXT, OUT type TEXT, OUT atom DOUBLE PRECISION)
RETURNS SETOF RECORD
LANGUAGE sql IMMUTABLE AS $$
    SELECT e.key, e.value, e.type, e.atom FROM uploader.json_each(uploader.as_json(document)) e
$$;

CREATE FUNCTION json_each(document TEXT, path TEXT, OUT key TEXT, OUT value TEXT, OUT type TEXT, OUT atom DOUBLE PRECISION)
RETURNS SETOF RECORD
LANGUAGE sql IMMUTABLE AS $$
    SELECT e.key, e.value, e.type, e.atom FROM uploader.json_each(uploader.json_at(document, path)) e
$$;
