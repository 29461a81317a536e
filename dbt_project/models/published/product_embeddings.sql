{{
    as_written('product_embeddings', source('model', 'product_embeddings'), ['as_of', 'model', 'product_id'])
}}
