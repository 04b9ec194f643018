-- What Supabase gives every project and plain Postgres lacks: the roles, the schemas auth, storage and
-- extensions, the functions that row level security asks, and the publication Realtime follows.
-- Run as a superuser, any number of times, on the embedded database and in tests. Never on Supabase.

-- Roles belong to the whole cluster: another database may have brought them already. ---------------------
DO $$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        SELECT wanted.role_name, wanted.attributes
          FROM (VALUES
                ('anon', 'NOLOGIN NOINHERIT'),
                ('authenticated', 'NOLOGIN NOINHERIT'),
                ('service_role', 'NOLOGIN NOINHERIT BYPASSRLS'),
                ('authenticator', 'LOGIN NOINHERIT'),
                -- A superuser of this name (a Debian cluster has one) stays what it is.
                ('postgres', 'LOGIN NOSUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS'),
                ('supabase_auth_admin', 'NOLOGIN NOINHERIT CREATEROLE'),
                ('supabase_storage_admin', 'NOLOGIN NOINHERIT CREATEROLE')
               ) AS wanted (role_name, attributes)
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles AS r WHERE r.rolname = wanted.role_name)
    LOOP
        EXECUTE format('CREATE ROLE %I %s', missing.role_name, missing.attributes);
    END LOOP;
END
$$;

GRANT anon, authenticated, service_role TO authenticator;
GRANT anon, authenticated, service_role TO postgres WITH ADMIN OPTION;
GRANT pg_monitor, pg_read_all_data, pg_signal_backend TO postgres;

ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
ALTER ROLE postgres SET search_path = "$user", public, extensions;

DO $$
BEGIN
    EXECUTE format('GRANT ALL ON DATABASE %I TO postgres', current_database());
END
$$;
GRANT ALL ON SCHEMA public TO postgres;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;

CREATE SCHEMA IF NOT EXISTS extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO anon, authenticated, service_role;

-- auth: who somebody is. ----------------------------------------------------------------------------------
CREATE SCHEMA IF NOT EXISTS auth AUTHORIZATION supabase_auth_admin;
GRANT USAGE ON SCHEMA auth TO anon, authenticated, service_role, postgres;

CREATE TABLE IF NOT EXISTS auth.users (
    id                 uuid PRIMARY KEY,
    aud                varchar(255),
    role               varchar(255),
    email              varchar(255),
    email_confirmed_at timestamptz,
    phone              text UNIQUE,
    phone_confirmed_at timestamptz,
    phone_change       text DEFAULT '',
    confirmed_at       timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    last_sign_in_at    timestamptz,
    raw_app_meta_data  jsonb,
    raw_user_meta_data jsonb,
    banned_until       timestamptz,
    deleted_at         timestamptz,
    is_sso_user        boolean NOT NULL DEFAULT false,
    is_anonymous       boolean NOT NULL DEFAULT false,
    created_at         timestamptz,
    updated_at         timestamptz
);
CREATE UNIQUE INDEX IF NOT EXISTS users_email_partial_key ON auth.users (email) WHERE NOT is_sso_user;
ALTER TABLE auth.users OWNER TO supabase_auth_admin;
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
GRANT ALL ON auth.users TO postgres;

-- PostgREST and Realtime put the verified token's claims into a setting; nothing else identifies a caller.
CREATE OR REPLACE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    SELECT nullif(pg_catalog.current_setting('request.jwt.claims', true), '')::pg_catalog.jsonb
$$;

CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    SELECT coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claim.sub', true), ''),
        auth.jwt() OPERATOR(pg_catalog.->>) 'sub'
    )::pg_catalog.uuid
$$;

CREATE OR REPLACE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE
    SET search_path = ''
AS $$
    SELECT coalesce(
        nullif(pg_catalog.current_setting('request.jwt.claim.role', true), ''),
        auth.jwt() OPERATOR(pg_catalog.->>) 'role'
    )
$$;

ALTER FUNCTION auth.jwt() OWNER TO supabase_auth_admin;
ALTER FUNCTION auth.uid() OWNER TO supabase_auth_admin;
ALTER FUNCTION auth.role() OWNER TO supabase_auth_admin;

-- storage: what files there are. The files themselves are only reached through the Storage service. ---------
CREATE SCHEMA IF NOT EXISTS storage AUTHORIZATION supabase_storage_admin;
GRANT USAGE ON SCHEMA storage TO anon, authenticated, service_role, postgres;

CREATE TABLE IF NOT EXISTS storage.buckets (
    id                 text PRIMARY KEY,
    name               text NOT NULL UNIQUE,
    owner_id           text,
    public             boolean DEFAULT false,
    file_size_limit    bigint,
    allowed_mime_types text[],
    created_at         timestamptz DEFAULT now(),
    updated_at         timestamptz DEFAULT now()
);

CREATE TABLE IF NOT EXISTS storage.objects (
    id               uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bucket_id        text REFERENCES storage.buckets (id),
    name             text,
    owner_id         text,
    metadata         jsonb,
    user_metadata    jsonb,
    path_tokens      text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
    version          text,
    created_at       timestamptz DEFAULT now(),
    updated_at       timestamptz DEFAULT now(),
    last_accessed_at timestamptz DEFAULT now()
);
CREATE UNIQUE INDEX IF NOT EXISTS objects_bucket_id_name_key ON storage.objects (bucket_id, name);

-- As on Supabase: a row deleted by SQL would leave its file behind.
CREATE OR REPLACE FUNCTION storage.protect_delete() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path = ''
AS $$
BEGIN
    IF coalesce(pg_catalog.current_setting('storage.allow_delete_query', true), 'false') <> 'true' THEN
        RAISE EXCEPTION 'Files are deleted through the Storage API, not by SQL.' USING ERRCODE = '42501';
    END IF;
    RETURN NULL;
END
$$;
CREATE OR REPLACE TRIGGER protect_buckets_delete
    BEFORE DELETE ON storage.buckets FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
CREATE OR REPLACE TRIGGER protect_objects_delete
    BEFORE DELETE ON storage.objects FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();

ALTER FUNCTION storage.protect_delete() OWNER TO supabase_storage_admin;
ALTER TABLE storage.buckets OWNER TO supabase_storage_admin;
ALTER TABLE storage.objects OWNER TO supabase_storage_admin;
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
GRANT ALL ON storage.buckets, storage.objects TO anon, authenticated, service_role, postgres;

-- Realtime: what a project publishes, it adds to this publication. -------------------------------------------
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_publication WHERE pubname = 'supabase_realtime') THEN
        CREATE PUBLICATION supabase_realtime;
        ALTER PUBLICATION supabase_realtime OWNER TO postgres;
    END IF;
END
$$;
