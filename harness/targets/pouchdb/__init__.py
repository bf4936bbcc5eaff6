"""Target `pouchdb`: PouchDB Server, with revisions that conflict as siblings."""
