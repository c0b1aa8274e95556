"""A GGUF file of the Llama shape with random weights and SmolLM2's tokenizer, for measuring.

random_model.py SMOLLM2.gguf OUT.gguf HIDDEN LAYERS FFN HEADS KV_HEADS TYPE
"""
import sys
import numpy as np, gguf
src,out,hidden,layers,ffn,heads,kv,kind=sys.argv[1:9]
hidden,layers,ffn,heads,kv=map(int,(hidden,layers,ffn,heads,kv))
qt=getattr(gguf.GGMLQuantizationType,kind)
r=gguf.GGUFReader(src)
w=gguf.GGUFWriter(out,'llama')
V=None
for f in r.fields.values():
    if f.name.startswith('tokenizer.'):
        t=f.types[0]
        v=f.contents()
        if f.name=='tokenizer.ggml.tokens': V=len(v)
        if t==gguf.GGUFValueType.ARRAY: w.add_array(f.name,v)
        else: w.add_key_value(f.name,v,t)
w.add_name('random'); w.add_context_length(8192); w.add_embedding_length(hidden); w.add_block_count(layers)
w.add_feed_forward_length(ffn); w.add_head_count(heads); w.add_head_count_kv(kv); w.add_layer_norm_rms_eps(1e-5)
w.add_rope_freq_base(100000.0); w.add_vocab_size(V); w.add_rope_dimension_count(hidden//heads)
rng=np.random.default_rng(1)
def mat(rows,cols,scale):
    return gguf.quants.quantize((rng.standard_normal((rows,cols),dtype=np.float32)*scale),qt)
d=hidden//heads
made={}
def add(name,rows,cols):
    key=(rows,cols)
    if key not in made: made[key]=mat(rows,cols,0.7/cols**.5)
    w.add_tensor(name,made[key],raw_dtype=qt)
w.add_tensor('token_embd.weight',mat(V,hidden,0.3),raw_dtype=qt)
one=np.ones(hidden,dtype=np.float32)
for i in range(layers):
    b=f'blk.{i}.'
    w.add_tensor(b+'attn_norm.weight',one)
    add(b+'attn_q.weight',hidden,hidden); add(b+'attn_k.weight',kv*d,hidden); add(b+'attn_v.weight',kv*d,hidden); add(b+'attn_output.weight',hidden,hidden)
    w.add_tensor(b+'ffn_norm.weight',one)
    add(b+'ffn_gate.weight',ffn,hidden); add(b+'ffn_up.weight',ffn,hidden); add(b+'ffn_down.weight',hidden,ffn)
w.add_tensor('output_norm.weight',one)
w.write_header_to_file(); w.write_kv_data_to_file(); w.write_tensors_to_file(); w.close()
