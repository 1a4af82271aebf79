"""The two databases' tables and indexes: the essentials of Session-Buddy's schema, full width where rows go."""

from __future__ import annotations

__all__ = ["GRAPH", "GRAPH_DDL", "REFLECTION", "REFLECTION_DDL"]

REFLECTION = "reflection.duckdb"
GRAPH = "knowledge_graph.duckdb"

REFLECTION_DDL = """
CREATE TABLE conversations_v2 (
  id VARCHAR PRIMARY KEY, content VARCHAR NOT NULL, embedding FLOAT[384], category VARCHAR NOT NULL,
  subcategory VARCHAR, importance_score FLOAT DEFAULT 0.5, memory_tier VARCHAR DEFAULT 'long_term',
  access_count INTEGER DEFAULT 0, last_accessed TIMESTAMP, project VARCHAR, namespace VARCHAR DEFAULT 'default',
  timestamp TIMESTAMP, session_id VARCHAR, user_id VARCHAR DEFAULT 'default', searchable_content VARCHAR,
  reasoning VARCHAR, metadata VARCHAR, source_type VARCHAR, fingerprint BLOB);
CREATE TABLE reflections_v2 (
  id VARCHAR PRIMARY KEY, conversation_id VARCHAR, content VARCHAR NOT NULL, embedding FLOAT[384],
  category VARCHAR DEFAULT 'context', subcategory VARCHAR, importance_score FLOAT DEFAULT 0.5, tags VARCHAR[],
  namespace VARCHAR DEFAULT 'default', project VARCHAR, access_count INTEGER DEFAULT 0, timestamp TIMESTAMP,
  updated_at TIMESTAMP, metadata JSON, fingerprint BLOB, source_session_id VARCHAR,
  FOREIGN KEY (conversation_id) REFERENCES conversations_v2 (id));
CREATE TABLE memory_access_log (
  id VARCHAR PRIMARY KEY, memory_id VARCHAR, access_type VARCHAR, query_text VARCHAR, timestamp TIMESTAMP,
  FOREIGN KEY (memory_id) REFERENCES conversations_v2 (id));
CREATE INDEX idx_conversations_access ON conversations_v2 (last_accessed);
CREATE INDEX idx_conversations_category ON conversations_v2 (category, namespace);
CREATE INDEX idx_conversations_fts ON conversations_v2 (searchable_content);
CREATE INDEX idx_conversations_namespace ON conversations_v2 (namespace, project);
CREATE INDEX idx_conversations_subcategory ON conversations_v2 (subcategory);
CREATE INDEX idx_conversations_tier ON conversations_v2 (memory_tier, importance_score);
CREATE INDEX idx_conversations_timestamp ON conversations_v2 (timestamp);
CREATE INDEX idx_conversations_source ON conversations_v2 (source_type, project, timestamp);
CREATE INDEX idx_access_log_memory ON memory_access_log (memory_id, timestamp);
CREATE INDEX idx_reflections_created ON reflections_v2 (timestamp);
CREATE INDEX idx_reflections_subcategory ON reflections_v2 (subcategory);
CREATE INDEX idx_reflections_session ON reflections_v2 (source_session_id);
"""

GRAPH_DDL = """
CREATE TABLE kg_entities (
  id VARCHAR PRIMARY KEY, name VARCHAR NOT NULL, entity_type VARCHAR NOT NULL, observations VARCHAR[],
  properties JSON, created_at TIMESTAMP, updated_at TIMESTAMP, metadata JSON, embedding FLOAT[384]);
CREATE TABLE kg_relationships (
  id VARCHAR PRIMARY KEY, from_entity VARCHAR NOT NULL, to_entity VARCHAR NOT NULL, relation_type VARCHAR NOT NULL,
  properties JSON, created_at TIMESTAMP, updated_at TIMESTAMP, metadata JSON);
CREATE INDEX idx_entities_name ON kg_entities (name);
CREATE INDEX idx_entities_type ON kg_entities (entity_type);
CREATE INDEX idx_relationships_from ON kg_relationships (from_entity);
CREATE INDEX idx_relationships_to ON kg_relationships (to_entity);
CREATE INDEX idx_relationships_type ON kg_relationships (relation_type);
"""
