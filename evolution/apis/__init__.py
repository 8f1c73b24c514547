"""The APIs that come with the project. Importing this package registers all of them."""

from evolution.apis import chain, faces, glyphs, imported, model, pool  # noqa: F401
